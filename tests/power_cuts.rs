//! The machine loses power, again and again, under load: what was not synced is gone, all of it or at random, torn within
//! sectors. Nothing acknowledged is lost, nothing is completed twice, the database is whole.
//!
//! The power is cut by the layer before the real program (`shim.c`), which notes what it writes and syncs, and by the model
//! of what a disk then holds (`platter.rs`). That both can be believed is shown by a disk that lies.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use domain::TaskId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::ledger::{Breach, Crowd, Remote, Verdict, check, promises, report};
use tests::platter::{Cut, Kind, Platter, records};
use tests::shim::{Lever, Shim, Where};
use tests::{Hive, PATIENCE, free_address};

/// A cycle with fewer acknowledged submits proves too little to be counted.
const ACCEPTED_MIN: u64 = 50;
/// How long a hive lives at least and at most, in milliseconds.
const LIFE_MS: (u64, u64) = (100, 900);

/// What lies on the disk of a hive that was killed, and has synced what it has synced.
fn platter(shim: &Shim, before: Platter) -> Result<Platter> {
    let mut platter = before;
    let noted = std::fs::read(&shim.log)?;
    for record in records(&noted)? {
        platter.play(&record)?;
    }
    Ok(platter)
}

/// Takes a database out of the image of a disk and asks SQLite whether it is whole; answers what `sql` prints there.
fn looked_at(folder: &Path, sql: &str) -> Result<String> {
    let words = format!("PRAGMA integrity_check; {sql}");
    let told = Command::new("sqlite3").arg(folder.join("hive.db")).arg(words).output();
    let told = told.context("install sqlite3: this test looks into a database with it")?;
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let whole = said.strip_prefix("ok\n");
    ensure!(whole.is_some(), "the database is not whole: {said}{}", String::from_utf8_lossy(&told.stderr));
    Ok(whole.unwrap_or_default().trim().to_owned())
}

/// Cuts the power: the hive is gone, its data folder is what the disk holds.
fn cut(shim: &Shim, hive: &mut Hive, before: Platter, how: Cut) -> Result<Platter> {
    hive.kill()?;
    let platter = platter(shim, before)?;
    let looked = shim.folder.join("looked-at");
    platter.restore(how, &looked)?;
    ensure!(looked.join("hive.db").exists(), "the database is gone, and it had promised something");
    looked_at(&looked, "")?;
    std::fs::remove_dir_all(&looked)?;
    platter.restore(how, &shim.hive_folder())?;
    std::fs::remove_file(&shim.log)?;
    Platter::of(&shim.folder)
}

/// What became of the promises of a hive that lost its power so often.
struct Outcome {
    verdict: Verdict,
    cycles: usize,
    replayed: u64,
    ready: Vec<Duration>,
}

/// Cuts the power until so many cycles count: everything unsynced is dropped in the first of each three, some of it in the
/// others. Then lets the work come to its end and checks every promise.
async fn power_lost(cycles: usize) -> Result<Outcome> {
    let (shim, books) = (Shim::new()?, tempfile::tempdir()?);
    let options = shim.options().bind(free_address()?).set("HIVE__LEASE__TTL_MS", 2_000);
    let mut platter = Platter::of(&shim.folder)?;
    let mut hive = Hive::start_with(options.clone()).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let agent = remote.agent("steady", 1_000).await?;
    let crowd = Crowd::begin(&remote, &agent, books.path(), "crowd", (64, 32));
    let mut ready = Vec::new();
    let mut tried = 0;
    while ready.len() < cycles {
        ensure!(tried < cycles * 3, "too few cycles have {ACCEPTED_MIN} submits: {} of {tried}", ready.len());
        tried += 1;
        let before = crowd.counts.accepted.load(Ordering::Relaxed);
        tokio::time::sleep(life(tried)).await;
        let how = if tried % 3 == 1 { Cut::Strict } else { Cut::Torn(u64::try_from(tried)?) };
        platter = cut(&shim, &mut hive, platter, how).with_context(|| format!("cut {tried}, {how:?}"))?;
        let counts = crowd.counts.accepted.load(Ordering::Relaxed) - before >= ACCEPTED_MIN;
        let began = Instant::now();
        hive = Hive::start_with(options.clone()).await.with_context(|| format!("cut {tried}, {how:?}"))?;
        if counts {
            ready.push(began.elapsed());
        }
    }
    let replayed = crowd.counts.replayed.load(Ordering::Relaxed);
    let ended = crowd.end(&remote).await;
    let verdict = check(&remote, &promises(books.path())?).await?;
    // What was lost says more than that the work has no end without it.
    if verdict.breaches.is_empty() {
        ended?;
    }
    hive.kill()?;
    looked_at(&shim.hive_folder(), "")?;
    ready.sort();
    Ok(Outcome { verdict, cycles: ready.len(), replayed, ready })
}

/// How long the hive of a cycle lives: spread over the whole range, and the same in every run.
fn life(cycle: usize) -> Duration {
    let place = u64::try_from(cycle).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(LIFE_MS.0 + place % (LIFE_MS.1 - LIFE_MS.0))
}

fn must_hold(verdict: &Verdict) {
    let broken: Vec<_> = verdict.breaches.iter().take(20).map(ToString::to_string).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test]
async fn slow_ten_power_cuts_under_sixty_four_clients_break_no_promise() -> Result<()> {
    must_hold(&power_lost(10).await?.verdict);
    Ok(())
}

#[tokio::test]
async fn chaos_a_hundred_power_cuts_under_sixty_four_clients_break_no_promise() -> Result<()> {
    let outcome = power_lost(100).await?;
    let at = |share: usize| outcome.ready.get(outcome.ready.len() * share / 100).copied().unwrap_or_default();
    let figures = json!({
        "cycles": outcome.cycles, "replayed": outcome.replayed,
        "ready_p50_ms": u64::try_from(at(50).as_millis())?, "ready_p99_ms": u64::try_from(at(99).as_millis())?,
    });
    report("power cut", &outcome.verdict, figures)?;
    must_hold(&outcome.verdict);
    Ok(())
}

/// Clients at work until so many tasks are completed; all their promises are in `books`.
async fn worked(hive: &Hive, books: &Path, name: &str, tasks: u64) -> Result<()> {
    let remote = Remote::new(&hive.url, &hive.token)?;
    let agent = remote.agent(name, 100).await?;
    let crowd = Crowd::begin(&remote, &agent, books, name, (8, 4));
    let began = Instant::now();
    while crowd.counts.completed.load(Ordering::Relaxed) < tasks {
        ensure!(began.elapsed() < PATIENCE, "it does not go on:\n{}", hive.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    crowd.end(&remote).await
}

/// A sync failed: waits for the end of the hive, which clients and workers ask for more until then.
async fn ended_at_work(hive: &mut Hive, books: &Path, name: &str) -> Result<ExitStatus> {
    let remote = Remote::new(&hive.url, &hive.token)?;
    let crowd = match remote.send(Method::GET, "/api/v2/agents", None, &Value::Null).await {
        Some(told) if told.status == StatusCode::OK => {
            let agent = told.body["items"][0]["id"].as_str().context("an agent")?.to_owned();
            Some(Crowd::begin(&remote, &agent, books, name, (8, 4)))
        }
        _ => None,
    };
    let ended = hive.ended().await;
    if let Some(crowd) = crowd {
        crowd.abandon();
    }
    ended
}

#[tokio::test]
async fn a_disk_that_answers_syncs_without_doing_them_is_found_out_by_the_ledger() -> Result<()> {
    let (shim, books) = (Shim::new()?, tempfile::tempdir()?);
    let before = Platter::of(&shim.folder)?;
    let mut hive = Hive::start_with(shim.options()).await?;
    worked(&hive, books.path(), "honest", 30).await?;
    let honest = promises(books.path())?.len();
    shim.set(Lever::Lies, 1)?;
    worked(&hive, books.path(), "deceived", 30).await?;
    cut(&shim, &mut hive, before, Cut::Strict)?;
    shim.set(Lever::Lies, 0)?;
    let hive = Hive::start_with(shim.options()).await?;
    let found = check(&Remote::new(&hive.url, &hive.token)?, &promises(books.path())?).await;
    let breaches = found?.breaches;
    let missing = breaches.iter().filter(|breach| matches!(breach, Breach::Missing(_))).count();
    ensure!(missing >= 30, "the disk has lied, and of {honest} and more promises {missing} are missed");
    Ok(())
}

/// The answers that began to leave, in their order: where in the notes, and what they say.
fn accepted<'a>(noted: &'a [tests::platter::Record<'a>]) -> Vec<(usize, String)> {
    let mut said: HashMap<i32, String> = HashMap::new();
    let mut found = Vec::new();
    for (place, record) in noted.iter().enumerate() {
        if record.kind != Kind::Sent {
            continue;
        }
        let text = String::from_utf8_lossy(record.content);
        let answer = said.entry(record.fd).or_default();
        if text.starts_with("HTTP/1.1") {
            answer.clear();
        }
        answer.push_str(&text);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        let body = body.and_then(|body| serde_json::from_str::<Value>(body).ok());
        if answer.starts_with("HTTP/1.1 201")
            && let Some(id) = body.as_ref().and_then(|body| body["id"].as_str())
            && id.starts_with("task_")
        {
            found.push((place, id.to_owned()));
        }
    }
    found
}

#[tokio::test]
async fn no_201_leaves_before_a_power_cut_would_leave_its_task_on_the_disk() -> Result<()> {
    let shim = Shim::new()?;
    let mut platter = Platter::of(&shim.folder)?;
    let mut hive = Hive::start_with(shim.options()).await?;
    // What leaves too early has time to.
    shim.set(Lever::SyncDelayUs, 300_000)?;
    let submits = (0..8).map(|number| {
        let hive = &hive;
        async move {
            for again in 0..4 {
                hive.submit(&json!({"title": format!("task {number}-{again}")})).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(submits).await?;
    hive.kill()?;
    let noted = std::fs::read(&shim.log)?;
    let noted = records(&noted)?;
    let accepted = accepted(&noted);
    ensure!(accepted.len() == 32, "{} of 32 answers were noted", accepted.len());
    let looked = shim.folder.join("looked-at");
    let mut played = 0;
    for (place, task) in accepted {
        for record in noted.get(played..place).context("notes in their order")? {
            platter.play(record)?;
        }
        played = place;
        platter.restore(Cut::Strict, &looked)?;
        let id: TaskId = task.parse()?;
        let sql =
            format!("SELECT count(*) FROM tasks JOIN task_specs ON task_id = id WHERE id = {}", id.raw());
        let count = looked_at(&looked, &sql)?;
        ensure!(count == "1", "{task} was acknowledged before it was on the disk");
    }
    Ok(())
}

/// A sync or write of such a file fails once, under work. Waits for the end of the hive.
async fn failed(
    shim: &Shim,
    books: &Path,
    (lever, n, place): (Lever, i64, Where),
) -> Result<(ExitStatus, String)> {
    let mut hive = Hive::start_with(shim.options()).await?;
    let before = hive.log().len();
    let remote = Remote::new(&hive.url, &hive.token)?;
    let name = format!("{lever:?}-{n}-{place:?}").to_lowercase();
    worked(&hive, books, &format!("{name}-before"), 20).await?;
    let agent = remote.agent(&name, 100).await?;
    let crowd = Crowd::begin(&remote, &agent, books, &name, (8, 4));
    shim.fail(lever, n, place)?;
    let ended = hive.ended().await;
    shim.fail(lever, 0, Where::Files)?;
    crowd.abandon();
    Ok((ended?, hive.log().split_off(before)))
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_hive_with_the_reason_and_nothing_acknowledged_is_lost_even_in_a_power_cut()
-> Result<()> {
    let (shim, books) = (Shim::new()?, tempfile::tempdir()?);
    let mut platter = Platter::of(&shim.folder)?;
    for (lever, n, place, words) in [
        (
            Lever::FailSyncIn,
            5,
            Where::Log,
            "the disk did not confirm a sync; what it holds is unknown: ending",
        ),
        // Each second has one.
        (Lever::FailSyncIn, 1, Where::Database, "a checkpoint failed"),
        (Lever::FailWriteIn, 5, Where::Log, "what it holds is unknown: ending"),
    ] {
        let (ended, said) = failed(&shim, books.path(), (lever, n, place)).await?;
        let aborted = Some(rustix::process::Signal::ABORT.as_raw());
        assert_eq!(ended.signal(), aborted, "{lever:?} {place:?}: {ended}:\n{said}");
        ensure!(said.contains(words) && said.contains("disk I/O error"), "{lever:?} {place:?}: {said}");
        // The kernel has dropped what it could not sync, and shows it all the same until the power goes: a hive that
        // builds upon it loses what it acknowledges from now on.
        let mut hive = Hive::start_with(shim.options()).await?;
        worked(&hive, books.path(), &format!("after-{lever:?}-{place:?}").to_lowercase(), 20).await?;
        platter = cut(&shim, &mut hive, platter, Cut::Strict)?;
        let hive = Hive::start_with(shim.options()).await?;
        must_hold(&check(&Remote::new(&hive.url, &hive.token)?, &promises(books.path())?).await?);
    }
    Ok(())
}

/// One sync after the other fails once, from the first one of a start on: the hive ends or does not start, says why,
/// and the next one has everything that was acknowledged, after a power cut too.
#[tokio::test]
async fn chaos_each_of_sixty_syncs_of_a_hive_may_fail_and_no_promise_is_broken() -> Result<()> {
    let (shim, books) = (Shim::new()?, tempfile::tempdir()?);
    // What the workers of a hive that ended had is worked on again soon.
    let options = || shim.options().set("HIVE__LEASE__TTL_MS", 2_000);
    let mut platter = Platter::of(&shim.folder)?;
    let mut hive = Hive::start_with(options()).await?;
    worked(&hive, books.path(), "before", 20).await?;
    platter = cut(&shim, &mut hive, platter, Cut::Strict)?;
    let mut last = None;
    for n in 1..=60 {
        shim.fail(Lever::FailSyncIn, n, Where::Files)?;
        let log = shim.folder.join("data.log");
        let before = std::fs::metadata(&log)?.len();
        match Hive::start_with(options()).await {
            Ok(mut hive) => {
                let ended = ended_at_work(&mut hive, books.path(), &format!("sync-{n}")).await?;
                ensure!(!ended.success(), "sync {n} failed, and the hive ended as if nothing were: {ended}");
            }
            Err(error) => ensure!(error.to_string().contains("hive ended with"), "sync {n}: {error}"),
        }
        let said = std::fs::read_to_string(&log)?;
        let said = said.get(usize::try_from(before)?..).context("a log that grows")?;
        ensure!(said.contains("Input/output error") || said.contains("disk I/O error"), "sync {n}: {said}");
        shim.fail(Lever::FailSyncIn, 0, Where::Files)?;
        let mut hive = Hive::start_with(options()).await?;
        worked(&hive, books.path(), &format!("after-{n}"), 5).await?;
        let how = if n % 2 == 0 { Cut::Strict } else { Cut::Torn(u64::try_from(n)?) };
        platter = cut(&shim, &mut hive, platter, how).with_context(|| format!("sync {n}, {how:?}"))?;
        let hive = Hive::start_with(options()).await?;
        let verdict = check(&Remote::new(&hive.url, &hive.token)?, &promises(books.path())?).await?;
        must_hold(&verdict);
        last = Some(verdict);
    }
    report("failed sync", &last.context("a verdict")?, json!({"cycles": 60, "replayed": 0}))
}
