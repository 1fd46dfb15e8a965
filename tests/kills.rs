//! Kill -9 of the real program, again and again, under load: nothing acknowledged is lost, nothing is completed twice.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::ledger::{Crowd, Remote, Verdict, check, promises, report};
use tests::{Hive, Options, free_address};

/// A cycle with fewer acknowledged submits proves too little to be counted.
const ACCEPTED_MIN: u64 = 50;
/// How long a hive lives at least and at most, in milliseconds.
const LIFE_MS: (u64, u64) = (50, 1_500);

/// What became of the promises of a hive that was killed so often.
struct Outcome {
    verdict: Verdict,
    /// How long each start took until the hive was ready, the shortest first.
    ready: Vec<Duration>,
    /// Submits whose first answer was lost, and whose second said so.
    replayed: u64,
}

/// Kills a hive until so many cycles count, then lets the work come to its end and checks every promise.
async fn killed(cycles: usize) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let books = tempfile::tempdir()?;
    let address = free_address()?;
    let options = Options::default()
        .folder(&folder.path().join("data"))
        .bind(address)
        .set("HIVE__LEASE__TTL_MS", 2_000);
    let mut hive = Hive::start_with(options.clone()).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let agent = remote.agent("steady", 1_000).await?;
    let crowd = Crowd::begin(&remote, &agent, books.path(), "crowd", (64, 32));
    let mut ready = Vec::new();
    let mut tried = 0;
    while ready.len() < cycles {
        ensure!(
            tried < cycles * 3,
            "too few cycles have {ACCEPTED_MIN} acknowledged submits: {} of {tried}",
            ready.len()
        );
        tried += 1;
        let before = crowd.counts.accepted.load(Ordering::Relaxed);
        tokio::time::sleep(life(tried)).await;
        hive.kill()?;
        let counts = crowd.counts.accepted.load(Ordering::Relaxed) - before >= ACCEPTED_MIN;
        let began = Instant::now();
        hive = Hive::start_with(options.clone()).await?;
        if counts {
            ready.push(began.elapsed());
        }
    }
    let replayed = crowd.counts.replayed.load(Ordering::Relaxed);
    crowd.end(&remote).await?;
    let verdict = check(&remote, &promises(books.path())?).await?;
    ready.sort();
    Ok(Outcome { verdict, ready, replayed })
}

/// How long the hive of a cycle lives: spread over the whole range, and the same in every run.
fn life(cycle: usize) -> Duration {
    let place = u64::try_from(cycle).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(LIFE_MS.0 + place % (LIFE_MS.1 - LIFE_MS.0))
}

fn must_hold(outcome: &Outcome) {
    let broken: Vec<_> = outcome.verdict.breaches.iter().take(20).map(ToString::to_string).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test]
async fn slow_ten_kills_under_sixty_four_clients_break_no_promise() -> Result<()> {
    must_hold(&killed(10).await?);
    Ok(())
}

#[tokio::test]
async fn chaos_two_hundred_kills_under_sixty_four_clients_break_no_promise() -> Result<()> {
    let outcome = killed(200).await?;
    let at = |share: usize| outcome.ready.get(outcome.ready.len() * share / 100).copied().unwrap_or_default();
    let (p50, p99) = (at(50), at(99));
    let figures = json!({
        "cycles": outcome.ready.len(), "replayed": outcome.replayed,
        "ready_p50_ms": u64::try_from(p50.as_millis())?, "ready_p99_ms": u64::try_from(p99.as_millis())?,
    });
    report("kill -9", &outcome.verdict, figures)?;
    must_hold(&outcome);
    assert!(p99 < Duration::from_secs(2), "it is ready again within {p99:?}");
    Ok(())
}
