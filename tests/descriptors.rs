//! A hive that may open few files, and clients that open many connections: it refuses or lets wait, does not spin, does not
//! die, loses nothing, and is well again when they go.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::ledger::{Crowd, Remote, check, promises};
use tests::sockets::open_files;
use tests::{Hive, Options, PATIENCE};

/// Files that the hive may open: about twice what it needs at rest.
const FILES_MAX: usize = 64;
/// Connections that say nothing: more than it can accept, and fewer than its listener lets wait (128).
const CONNECTIONS: usize = 100;
/// How long it stands at the limit.
const HELD: Duration = Duration::from_secs(3);

/// Seconds of processor time that a process has used.
fn used(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("a name")?;
    let ticks = |at: usize| -> Result<f64> { Ok(rest.split(' ').nth(at).context("a field")?.parse()?) };
    // Fields 14 and 15 of proc(5), the first of which behind the name is 3; a tick is a hundredth of a second.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

#[tokio::test]
async fn a_hive_that_may_open_no_more_files_neither_spins_nor_dies_nor_loses_and_recovers() -> Result<()> {
    let limit = format!("--nofile={FILES_MAX}:{FILES_MAX}");
    let options = Options { wrapper: vec!["prlimit".into(), limit], ..Options::default() };
    // Connections that say nothing stay as long as the test wants.
    let options = options.set("HIVE__SERVER__HEAD_TIMEOUT_MS", 60_000).set("HIVE__LEASE__TTL_MS", 2_000);
    let mut hive = Hive::start_with(options).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let books = tempfile::tempdir()?;
    let agent = remote.agent("steady", 100).await?;
    let crowd = Crowd::begin(&remote, &agent, books.path(), "crowd", (8, 4));
    let address = hive.url.trim_start_matches("http://").to_owned();
    for round in 0..2 {
        let before = crowd.counts.completed.load(Ordering::Relaxed);
        let began = Instant::now();
        while crowd.counts.completed.load(Ordering::Relaxed) < before + 50 {
            ensure!(began.elapsed() < PATIENCE, "round {round}: it does not go on:\n{}", hive.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let hogs = (0..CONNECTIONS).map(|_| TcpStream::connect(&address)).collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        while open_files(&hive)? < FILES_MAX {
            ensure!(began.elapsed() < PATIENCE, "{CONNECTIONS} connections do not exhaust {FILES_MAX} files");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = used(hive.pid())?;
        tokio::time::sleep(HELD).await;
        let share = (used(hive.pid())? - before) / HELD.as_secs_f64();
        // The clients that were connected before go on asking; that costs something, and far less than a core.
        ensure!(share < 0.6, "it uses {share} of a core while it can accept nobody");
        drop(hogs);
    }
    crowd.end(&remote).await?;
    let verdict = check(&remote, &promises(books.path())?).await?;
    assert_eq!(verdict.breaches.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    ensure!(hive.log().contains("Too many open files"), "it was never at its limit:\n{}", hive.log());
    hive.post("/api/v2/tasks", &json!({"title": "well again"}), 201).await?;
    ensure!(hive.terminate().await?.success());
    Ok(())
}
