//! Resuming: no hole and no repeat, wherever the seam between snapshot, history and live happens to lie.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tests::watcher::Watcher;
use tests::{Hive, Options};

/// The whole log after a place, as pages.
pub async fn log_after(hive: &Hive, mut after: i64) -> Result<HashMap<i64, Value>> {
    let mut log = HashMap::new();
    loop {
        let page = hive.get(&format!("/api/v2/events?limit=200&after={after}")).await?;
        for event in page["items"].as_array().context("items")? {
            after = event["seq"].as_i64().context("a seq")?;
            log.insert(after, event.clone());
        }
        if page["next_cursor"].is_null() {
            return Ok(log);
        }
    }
}

/// Writes about `rate` events a second for a while.
pub async fn write(hive: &Hive, rate: u64, time: Duration) -> Result<()> {
    let began = Instant::now();
    let (batch, pause) = (rate / 20, Duration::from_millis(50));
    let tasks: Vec<Value> = (0..batch).map(|number| json!({"title": number.to_string()})).collect();
    while began.elapsed() < time {
        let due = tokio::time::sleep(pause);
        hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
        due.await;
    }
    Ok(())
}

/// Resumes, reads some events, goes, and so on, until it has `until`; answers what it saw.
async fn hammer(hive: &Hive, epoch: &str, mut place: i64, until: i64, share: usize) -> Result<Vec<Value>> {
    let mut seen = Vec::new();
    while place < until {
        let path = format!("dashboard?resume={epoch}:{place}");
        let mut watcher = Watcher::connect(hive, &path).await?;
        let resumed = watcher.of_type("resumed").await?;
        ensure!(resumed["recovered"] == true && resumed["from"] == place, "{resumed}");
        for _ in 0..share {
            if place >= until {
                break;
            }
            let event = watcher.event().await?;
            ensure!(event["offset"] == place + 1, "after {place} comes {event}");
            place += 1;
            seen.push(event);
        }
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_resumes_under_a_thousand_events_a_second_sees_the_log_and_nothing_else() -> Result<()> {
    let hive = Hive::start().await?;
    let epoch = hive.get("/api/v2/system").await?["epoch"].as_str().context("an epoch")?.to_owned();
    write(&hive, 1_000, Duration::from_secs(1)).await?;
    let until = 4_000;
    // Sessions that read much go through history, ring and live; those that read little meet each seam often.
    let hammers = [7, 60, 400, 3_000].map(|share| hammer(&hive, &epoch, 0, until, share));
    let writes = async || -> Result<Vec<Vec<Value>>> {
        loop {
            write(&hive, 1_000, Duration::from_secs(1)).await?;
        }
    };
    let seen = tokio::select! {
        seen = try_join_all(hammers) => seen?,
        failed = writes() => failed?,
    };
    let log = log_after(&hive, 0).await?;
    for events in &seen {
        ensure!(events.len() == usize::try_from(until)?);
        for event in events {
            let offset = event["offset"].as_i64().context("an offset")?;
            ensure!(log.get(&offset) == Some(&event["data"]), "{event} is not what the log has");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_place_beyond_the_head_or_of_another_log_is_not_recovered_and_the_state_follows() -> Result<()> {
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "a"})).await?;
    let epoch = hive.get("/api/v2/system").await?["epoch"].as_str().context("an epoch")?.to_owned();
    for place in [format!("{epoch}:999999"), "another:1".to_owned()] {
        let mut watcher = Watcher::connect(&hive, &format!("tasks?resume={place}")).await?;
        let resumed = watcher.of_type("resumed").await?;
        ensure!(resumed["recovered"] == false, "{place}: {resumed}");
        let state = watcher.frame().await?;
        ensure!(state["type"] == "dashboard_initialized" && state["offset"] == resumed["to"], "{state}");
        hive.submit(&json!({"title": "b"})).await?;
        ensure!(watcher.event().await?["offset"].as_i64() > state["offset"].as_i64());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_after_a_kill_under_load_sessions_resume_where_they_were_without_a_hole() -> Result<()> {
    let mut hive = Hive::start().await?;
    let sessions = 500;
    let mut watchers =
        try_join_all((0..sessions).map(|_| Watcher::connect(&hive, "tasks?subscriptions=tasks"))).await?;
    let mut places = Vec::new();
    for watcher in &mut watchers {
        let state = watcher.of_type("dashboard_initialized").await?;
        places.push(state["offset"].as_i64().context("an offset")?);
    }
    let reading = watchers.into_iter().zip(places).map(|(mut watcher, mut place)| async move {
        // Until the kill.
        while let Ok(event) = watcher.event().await {
            ensure!(event["offset"] == place + 1, "{event} after {place}");
            place += 1;
        }
        Ok(place)
    });
    let writing = write(&hive, 200, Duration::from_secs(2));
    let pid = i32::try_from(hive.pid())?;
    let killing = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let pid = rustix::process::Pid::from_raw(pid).context("a process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        anyhow::Ok(())
    };
    let (places, _, killed) = tokio::join!(try_join_all(reading), writing, killing);
    let (places, _): (Vec<i64>, ()) = (places?, killed?);
    ensure!(places.iter().all(|place| *place > 20), "they were in the middle of it: {places:?}");
    let _ = hive.kill();
    let again = Hive::start_with(Options::default().folder(hive.folder())).await?;
    let epoch = again.get("/api/v2/system").await?["epoch"].as_str().context("an epoch")?.to_owned();
    again.submit(&json!({"title": "after"})).await?;
    let head = again.get("/api/v2/system").await?["log"]["last_seq"].as_i64().context("a head")?;
    let resumes = places.into_iter().map(|mut place| {
        let (again, epoch) = (&again, &epoch);
        async move {
            let path = format!("tasks?subscriptions=tasks,system&resume={epoch}:{place}");
            let mut watcher = Watcher::connect(again, &path).await?;
            let resumed = watcher.of_type("resumed").await?;
            if resumed["recovered"] != true {
                let state = watcher.frame().await?;
                ensure!(state["type"] == "dashboard_initialized", "who cannot go on sees the state: {state}");
                return Ok(0);
            }
            while place < head {
                let event = watcher.event().await?;
                ensure!(event["offset"] == place + 1, "{event} after {place}");
                place += 1;
            }
            Ok(1)
        }
    });
    let recovered: usize = try_join_all(resumes).await?.into_iter().sum();
    ensure!(recovered * 100 >= sessions * 99, "{recovered} of {sessions} went on where they were");
    Ok(())
}
