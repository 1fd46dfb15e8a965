//! Resuming: no hole and no repeat, wherever the seam between snapshot, history and live happens to lie.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::watcher::Watcher;
use tests::{Hive, Options};

/// The whole log after a place, as pages.
async fn log_after(hive: &Hive, mut after: i64) -> Result<HashMap<i64, Value>> {
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
async fn write(hive: &Hive, rate: u64, time: Duration) -> Result<()> {
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

#[tokio::test]
async fn a_topic_that_joins_with_a_place_is_taken_up_there_and_the_others_hear_nothing_twice() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "agents?subscriptions=agents").await?;
    let place = watcher.of_type("dashboard_initialized").await?;
    let (epoch, offset) = (&place["epoch"], place["offset"].as_i64().context("an offset")?);
    hive.agent("one", &[], 1).await?;
    let task = hive.submit(&json!({"title": "missed"})).await?;
    ensure!(watcher.event().await?["type"] == "agent_event");
    let resume = json!({"epoch": epoch, "offset": offset});
    watcher.send(&json!({"type": "subscribe", "subscriptions": ["tasks"], "resume": resume})).await?;
    let resumed = watcher.of_type("resumed").await?;
    ensure!(resumed["recovered"] == true, "{resumed}");
    let event = watcher.event().await?;
    ensure!(event["data"]["task_id"] == json!(task), "the topic that joined, and no agent again: {event}");
    hive.agent("two", &[], 1).await?;
    let event = watcher.event().await?;
    ensure!(event["type"] == "agent_event" && event["offset"] == offset + 3, "{event}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_after_a_kill_under_load_sessions_resume_where_they_were_without_a_hole() -> Result<()> {
    let mut hive = Hive::start().await?;
    let sessions = 200;
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
    let writing = write(&hive, 400, Duration::from_secs(2));
    let pid = i32::try_from(hive.pid())?;
    let killing = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let pid = rustix::process::Pid::from_raw(pid).context("a process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        anyhow::Ok(())
    };
    let (places, _, killed) = tokio::join!(try_join_all(reading), writing, killing);
    let (places, _): (Vec<i64>, ()) = (places?, killed?);
    ensure!(places.iter().all(|place| *place > 100), "they were in the middle of it: {places:?}");
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
            ensure!(resumed["recovered"] == true, "what was shown was committed: {resumed}");
            while place < head {
                let event = watcher.event().await?;
                ensure!(event["offset"] == place + 1, "{event} after {place}");
                place += 1;
            }
            Ok(())
        }
    });
    try_join_all(resumes).await?;
    Ok(())
}

/// Reads server-sent events until it has `count` of them: (id, data).
async fn sse(hive: &Hive, last: Option<i64>, count: usize) -> Result<Vec<(i64, Value)>> {
    let mut request = hive.request(Method::GET, "/api/v2/events/stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    let answer = request.send().await?;
    ensure!(answer.status() == 200 && answer.headers()["content-type"] == "text/event-stream");
    let mut body = answer.bytes_stream();
    let (mut text, mut events) = (String::new(), Vec::new());
    while events.len() < count {
        let piece =
            tokio::time::timeout(tests::PATIENCE, body.next()).await?.context("the stream ended")??;
        text.push_str(std::str::from_utf8(&piece)?);
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some((id, data)) = event.split_once("\ndata: ") {
                let id = id.strip_prefix("id: ").context(event.to_owned())?.parse()?;
                events.push((id, serde_json::from_str(data)?));
            }
            text = rest.to_owned();
        }
    }
    Ok(events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_sent_events_tell_the_same_and_go_on_after_the_last_one_that_came() -> Result<()> {
    let hive = Hive::start().await?;
    write(&hive, 1_000, Duration::from_millis(500)).await?;
    let (mut last, mut seen) = (0, Vec::new());
    let reading = async {
        while seen.len() < 1_000 {
            for (id, event) in sse(&hive, Some(last), 90).await? {
                ensure!(id == last + 1 && event["seq"] == id, "{event} after {last}");
                last = id;
                seen.push(event);
            }
        }
        anyhow::Ok(())
    };
    let (written, read) = tokio::join!(write(&hive, 1_000, Duration::from_secs(2)), reading);
    written?;
    read?;
    let log = log_after(&hive, 0).await?;
    ensure!(seen.iter().zip(1..).all(|(event, seq)| log.get(&seq) == Some(event)));
    let live = tokio::join!(sse(&hive, None, 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        hive.submit(&json!({"title": "live"})).await
    });
    let (id, event) = live.0?.pop().context("an event")?;
    ensure!(event["task_id"] == json!(live.1?) && id > last, "from now on: {event}");
    let bad = hive.request(Method::GET, "/api/v2/events/stream").header("last-event-id", "x").send().await?;
    ensure!(bad.status() == 422);
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_a_stream_of_events() -> Result<()> {
    let mut hive = Hive::start().await?;
    let answer = hive.request(Method::GET, "/api/v2/events/stream").send().await?;
    hive.signal(rustix::process::Signal::TERM)?;
    let _ = tokio::time::timeout(tests::PATIENCE, answer.text()).await.context("the stream goes on")?;
    ensure!(hive.ended().await?.success());
    Ok(())
}
