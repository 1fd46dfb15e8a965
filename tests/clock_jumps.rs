//! The time of day jumps by an hour, forward and back, under a running hive and between two starts: ids never repeat, the
//! order holds, no lease is lost. (The clock of the machine that only goes forward does not jump; nothing else moves leases
//! and delays of a running hive.)

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::ledger::{Crowd, Remote, check, promises};
use tests::shim::{Lever, Shim};
use tests::{Hive, PATIENCE};

const HOUR_US: i64 = 3_600_000_000;
const LEASE_MS: u64 = 10_000;

/// Every event, in the order of the log.
async fn events(hive: &Hive) -> Result<Vec<Value>> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = hive.get(&format!("/api/v2/events?after={after}&limit=200")).await?;
        let items = page["items"].as_array().context("items")?;
        let Some(last) = items.last() else { return Ok(found) };
        after = last["seq"].as_i64().context("a seq")?;
        found.extend(items.iter().cloned());
    }
}

/// The log has every `seq` once, and no event is older than the one before.
async fn is_in_order(hive: &Hive) -> Result<()> {
    let events = events(hive).await?;
    for pair in events.windows(2) {
        let [before, next] = pair else { continue };
        let (seq, at) = (before["seq"].as_i64(), before["at"].as_str());
        ensure!(next["seq"].as_i64() == seq.map(|seq| seq + 1), "{before} and then {next}");
        // The wire form of a time has always as many letters.
        ensure!(next["at"].as_str() >= at, "{before} and then {next}");
    }
    ensure!(events.len() > 20, "too little happened to prove anything");
    Ok(())
}

/// A task that this agent alone can do, leased.
async fn held(hive: &Hive, agent: &str, skill: &str) -> Result<String> {
    let task = hive.submit(&json!({"title": "held", "requires": [skill]})).await?;
    let leased = hive.lease(agent, 1, 5_000).await?;
    ensure!(leased[0]["task_id"] == task.as_str(), "{leased:?}");
    Ok(task)
}

async fn completes(hive: &Hive, task: &str) -> Result<()> {
    hive.post(&format!("/api/v2/tasks/{task}/complete"), &json!({"attempt": 1, "result": null}), 200).await?;
    Ok(())
}

/// Submits a few, and answers the last id: each is above the one before.
async fn ascending(hive: &Hive, mut last: String) -> Result<String> {
    for _ in 0..5 {
        let next = hive.submit(&json!({"title": "in order", "requires": ["nobody"]})).await?;
        ensure!(next > last, "{next} comes after {last}");
        last = next;
    }
    Ok(last)
}

#[tokio::test]
async fn an_hour_forward_and_back_under_work_loses_no_lease_repeats_no_id_and_wakes_nothing_too_early()
-> Result<()> {
    let (shim, books) = (Shim::new()?, tempfile::tempdir()?);
    let hive = Hive::start_with(shim.unnoted().set("HIVE__LEASE__TTL_MS", LEASE_MS)).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let holder = hive.agent("holder", &["hold"], 1).await?;
    let held = held(&hive, &holder, "hold").await?;
    let later = hive.submit(&json!({"title": "later", "delay_ms": 1_800_000})).await?;
    let soon = hive.submit(&json!({"title": "soon", "delay_ms": 1_500})).await?;
    let agent = remote.agent("steady", 100).await?;
    let crowd = Crowd::begin(&remote, &agent, books.path(), "crowd", (8, 4));
    for jump in [HOUR_US, -HOUR_US, HOUR_US, 0] {
        shim.set(Lever::ClockUs, jump)?;
        let before = crowd.counts.completed.load(Ordering::Relaxed);
        let began = Instant::now();
        while crowd.counts.completed.load(Ordering::Relaxed) < before + 50 {
            ensure!(began.elapsed() < PATIENCE, "it does not go on:\n{}", hive.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let beat = json!({"attempt": 1});
        hive.post(&format!("/api/v2/tasks/{held}/heartbeat"), &beat, 200).await?;
    }
    ensure!(hive.task_when(&soon, |task| task["state"] == "completed").await?["attempt"] == 1);
    let later = format!("/api/v2/tasks/{later}");
    ensure!(hive.get(&later).await?["state"] == "scheduled", "half an hour has not passed");
    completes(&hive, &held).await?;
    hive.post(&format!("{later}/cancel"), &json!({}), 200).await?;
    crowd.end(&remote).await?;
    let verdict = check(&remote, &promises(books.path())?).await?;
    assert_eq!(verdict.breaches.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    ensure!(verdict.refused == 0, "{} leases were lost", verdict.refused);
    is_in_order(&hive).await
}

#[tokio::test]
async fn between_two_starts_the_time_of_day_may_jump_and_the_hives_time_goes_on() -> Result<()> {
    let shim = Shim::new()?;
    let options = shim.unnoted().set("HIVE__LEASE__TTL_MS", LEASE_MS);
    let mut hive = Hive::start_with(options.clone()).await?;
    let holder = hive.agent("holder", &["hold"], 1).await?;
    let later =
        hive.submit(&json!({"title": "later", "delay_ms": 1_800_000, "requires": ["nobody"]})).await?;
    let later = format!("/api/v2/tasks/{later}");
    let keyed = Remote::new(&hive.url, &hive.token)?;
    let key = json!({"title": "keyed", "requires": ["nobody"]});
    let first = keyed.ask(reqwest::Method::POST, "/api/v2/tasks", Some("key"), &key).await?;
    let mut last = ascending(&hive, String::new()).await?;
    // Back, when its time goes on from the last event; far forward, when a delay is over; and back to where it was.
    for (jump, is_due) in [(-HOUR_US, false), (HOUR_US, true), (0, true)] {
        let held = held(&hive, &holder, "hold").await?;
        hive.kill()?;
        shim.set(Lever::ClockUs, jump)?;
        hive = Hive::start_with(options.clone()).await?;
        last = ascending(&hive, last).await.with_context(|| format!("after a jump of {jump} us"))?;
        // A lease gets its time again: the worker was alive all the while.
        completes(&hive, &held).await.with_context(|| format!("after a jump of {jump} us"))?;
        let expected = if is_due { "queued" } else { "scheduled" };
        hive.until(&later, |task| task["state"] == expected).await?;
        let again = Remote::new(&hive.url, &hive.token)?;
        let again = again.ask(reqwest::Method::POST, "/api/v2/tasks", Some("key"), &key).await?;
        ensure!(again.is_replayed && again.body["id"] == first.body["id"], "{}", again.body);
        // Its time does not stand still meanwhile.
        let soon = hive.submit(&json!({"title": "soon", "delay_ms": 300, "requires": ["nobody"]})).await?;
        hive.task_when(&soon, |task| task["state"] == "queued").await?;
    }
    is_in_order(&hive).await
}
