//! Paused, not dead: workers and hives that stand still (SIGSTOP) and go on as if nothing had been.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use tests::ledger::{Crowd, Promise, Remote, Verdict, check, promises, report};
use tests::{Hive, Options, PATIENCE};

const LEASE_MS: u64 = 1_000;
/// How long a worker process thinks about each task: time to be stopped in.
const THINK_MS: &str = "20";

/// A worker that is a process of its own.
struct Worker(Child);

impl Worker {
    fn begin(hive: &Hive, agent: &str, name: &str, books: &Path) -> Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_ledger"))
            .args(["work", agent, name])
            .arg(books)
            .arg(THINK_MS)
            .env("HIVE_SERVER", &hive.url)
            .env("HIVE_TOKEN", &hive.token)
            .stdin(Stdio::null())
            .spawn()
            .context("starting a worker")?;
        Ok(Self(child))
    }

    fn goes_on(&self) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id())?).context("a process id")?;
        Ok(rustix::process::kill_process(pid, Signal::CONT)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn working(remote: &Remote) -> Result<u64> {
    remote.get("/api/v2/system").await?["tasks"]["working"].as_u64().context("a count")
}

async fn holds_all(remote: &Remote, books: &Path) -> Result<Verdict> {
    let verdict = check(remote, &promises(books)?).await?;
    let broken: Vec<_> = verdict.breaches.iter().take(20).map(ToString::to_string).collect();
    assert_eq!(broken, Vec::<String>::new());
    Ok(verdict)
}

#[tokio::test]
async fn slow_workers_that_stood_still_beyond_their_leases_are_refused_and_nothing_is_done_twice()
-> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__TTL_MS", LEASE_MS)).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let books = tempfile::tempdir()?;
    let agent = remote.agent("ada", 100).await?;
    let began = Instant::now();
    // A worker may be stopped in the moment in which it holds nothing; then the next ones are.
    for round in 0.. {
        ensure!(began.elapsed() < PATIENCE, "no worker was ever stopped while it held something");
        let worker = |name: &str| Worker::begin(&hive, &agent, &format!("{name}-{round}"), books.path());
        let workers = [worker("a")?, worker("b")?];
        let clients = Crowd::begin(&remote, &agent, books.path(), &format!("round-{round}"), (4, 0));
        while working(&remote).await? == 0 {
            ensure!(began.elapsed() < PATIENCE, "nobody works");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for worker in &workers {
            tests::processes::halt(worker.0.id())?;
        }
        let held = working(&remote).await?;
        // Others take over what those hold, after their leases are over, and everything else.
        let others = Crowd::begin(&remote, &agent, books.path(), &format!("others-{round}"), (0, 2));
        clients.end(&remote).await?;
        others.end(&remote).await?;
        for worker in &workers {
            worker.goes_on()?;
        }
        if held == 0 {
            continue;
        }
        let is_refused = |promise: &Promise| matches!(promise, Promise::Refused { .. });
        while !promises(books.path())?.iter().any(is_refused) {
            ensure!(began.elapsed() < PATIENCE, "nobody was refused, though {held} tasks were held");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        break;
    }
    holds_all(&remote, books.path()).await?;
    Ok(())
}

/// A hive under load stands still for so long, three times.
async fn hive_stood_still(pause: Duration) -> Result<(Verdict, u64)> {
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__TTL_MS", LEASE_MS)).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let books = tempfile::tempdir()?;
    let agent = remote.agent("ada", 1_000).await?;
    let crowd = Crowd::begin(&remote, &agent, books.path(), "crowd", (16, 8));
    for _ in 0..3 {
        let before = crowd.counts.completed.load(Ordering::Relaxed);
        let began = Instant::now();
        while crowd.counts.completed.load(Ordering::Relaxed) < before + 100 {
            ensure!(began.elapsed() < PATIENCE, "it does not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hive.halt()?;
        tokio::time::sleep(pause).await;
        hive.signal(Signal::CONT)?;
    }
    let replayed = crowd.counts.replayed.load(Ordering::Relaxed);
    crowd.end(&remote).await?;
    Ok((holds_all(&remote, books.path()).await?, replayed))
}

#[tokio::test]
async fn slow_a_hive_that_stood_still_beyond_all_leases_goes_on_and_breaks_no_promise() -> Result<()> {
    hive_stood_still(Duration::from_secs(2)).await?;
    Ok(())
}

#[tokio::test]
async fn chaos_a_hive_that_stood_still_for_up_to_forty_seconds_breaks_no_promise() -> Result<()> {
    for seconds in [5, 15, 40] {
        let (verdict, replayed) = hive_stood_still(Duration::from_secs(seconds)).await?;
        let figures = json!({"cycles": 3, "replayed": replayed});
        report(&format!("SIGSTOP of {seconds} s"), &verdict, figures)?;
    }
    Ok(())
}
