//! Topics that join a session at a place: what they missed comes once and in order, whatever else the session is about.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::watcher::Watcher;
use tests::{Hive, database};

use crate::live_limits::counted;

/// A subscription that takes topics up at a place.
fn subscribe(topics: &[&str], (epoch, offset): (&Value, i64), id: &str) -> Value {
    let resume = json!({"epoch": epoch, "offset": offset});
    json!({"type": "subscribe", "subscriptions": topics, "resume": resume, "correlation_id": id})
}

/// Offsets of the events until the answer to a ping.
async fn offsets(watcher: &mut Watcher) -> Result<Vec<i64>> {
    let frames = watcher.settle().await?;
    let is_event = |frame: &&Value| frame["type"].as_str().is_some_and(|kind| kind.ends_with("_event"));
    let events = frames.iter().filter(is_event);
    events.map(|event| event["offset"].as_i64().context("an offset")).collect()
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

#[tokio::test]
async fn what_another_topic_has_brought_does_not_come_again() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "tasks?subscriptions=tasks/queue/default").await?;
    let state = watcher.of_type("dashboard_initialized").await?;
    let (epoch, place) = (&state["epoch"], state["offset"].as_i64().context("an offset")?);
    for queue in ["default", "other", "default", "other"] {
        hive.submit(&json!({"title": "t", "queue": queue})).await?;
    }
    let seen = [watcher.event().await?, watcher.event().await?];
    ensure!(seen.iter().map(|event| &event["offset"]).eq([&json!(place + 1), &json!(place + 3)]), "{seen:?}");
    watcher.send(&subscribe(&["tasks"], (epoch, place), "c-1")).await?;
    let resumed = watcher.of_type("resumed").await?;
    ensure!(resumed["recovered"] == true && resumed["correlation_id"] == "c-1", "{resumed}");
    ensure!(watcher.event().await?["offset"] == place + 2);
    ensure!(watcher.event().await?["offset"] == place + 4);
    // They have everything now.
    watcher.send(&subscribe(&["tasks", "tasks/queue/default"], (epoch, place), "c-2")).await?;
    let resumed = watcher.of_type("resumed").await?;
    ensure!(resumed["recovered"] == true && resumed["correlation_id"] == "c-2", "{resumed}");
    ensure!(offsets(&mut watcher).await? == [0; 0], "nothing is told twice");
    hive.submit(&json!({"title": "t"})).await?;
    ensure!(watcher.event().await?["offset"] == place + 5, "and it goes on");
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_there_already_gets_what_lies_before_its_beginning() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "tasks?subscriptions=").await?;
    let state = watcher.of_type("dashboard_initialized").await?;
    let (epoch, place) = (&state["epoch"], state["offset"].as_i64().context("an offset")?);
    for _ in 0..3 {
        hive.submit(&json!({"title": "t"})).await?;
    }
    watcher.settle().await?;
    watcher.send(&json!({"type": "subscribe", "subscriptions": ["tasks"]})).await?;
    watcher.of_type("subscription_updated").await?;
    hive.submit(&json!({"title": "t"})).await?;
    let mut seen = vec![watcher.event().await?["offset"].as_i64().context("an offset")?];
    watcher.send(&subscribe(&["tasks"], (epoch, place), "c-1")).await?;
    watcher.of_type("resumed").await?;
    while !seen.contains(&(place + 1)) || seen.len() < 4 {
        seen.push(watcher.event().await?["offset"].as_i64().context("an offset")?);
    }
    seen.extend(offsets(&mut watcher).await?);
    seen.sort_unstable();
    ensure!(seen == (place + 1..=place + 4).collect::<Vec<_>>(), "each once: {seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_join_while_others_are_still_taken_up_wait_for_them_and_lack_nothing() -> Result<()> {
    let hive = Hive::start().await?;
    let epoch = hive.get("/api/v2/system").await?["epoch"].clone();
    let tasks: Vec<Value> = (0..500).map(|number| json!({"title": number.to_string()})).collect();
    for round in 0..6 {
        hive.agent(&format!("agent-{round}"), &[], 1).await?;
        hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
        let change = if round % 2 == 0 { "pause" } else { "resume" };
        hive.post(&format!("/api/v2/queues/default/{change}"), &json!({}), 200).await?;
    }
    let log = crate::live_resume::log_after(&hive, 0).await?;
    let path = format!("tasks?subscriptions=tasks&resume={}:0", epoch.as_str().context("an epoch")?);
    let mut watcher = Watcher::connect(&hive, &path).await?;
    watcher.send(&subscribe(&["agents"], (&epoch, 0), "c-agents")).await?;
    watcher.send(&subscribe(&["coordination", "tasks"], (&epoch, 10), "c-queues")).await?;
    watcher.send(&json!({"type": "subscribe", "subscriptions": ["system"]})).await?;
    watcher.send(&json!({"type": "unsubscribe", "subscriptions": ["system"]})).await?;
    let wanted: Vec<(&i64, &str)> = log
        .iter()
        .filter_map(|(seq, event)| Some((seq, event["kind"].as_str()?.split_once('.')?.0)))
        .filter(|(seq, root)| *root == "task" || *root == "agent" || (*root == "queue" && **seq > 10))
        .collect();
    let (mut seen, mut last) = (0, HashMap::new());
    let mut resumed = Vec::new();
    while seen < wanted.len() || resumed.len() < 3 {
        let frame = watcher.frame().await?;
        let kind = frame["type"].as_str().context("a type")?.to_owned();
        ensure!(kind != "events_skipped" && kind != "dashboard_initialized", "{frame}");
        if kind == "resumed" {
            ensure!(frame["recovered"] == true, "{frame}");
            resumed.push(frame["correlation_id"].as_str().unwrap_or_default().to_owned());
        }
        if let Some(root) = kind.strip_suffix("_event").filter(|root| *root != "system") {
            let offset = frame["offset"].as_i64().context("an offset")?;
            let before = last.insert(root.to_owned(), offset);
            ensure!(before < Some(offset), "{frame} after {before:?}: neither twice nor out of order");
            seen += 1;
        }
    }
    ensure!(
        resumed[1..] == ["c-agents", "c-queues"],
        "each is told, with the id of its question: {resumed:?}"
    );
    ensure!(offsets(&mut watcher).await? == [0; 0], "and nothing else");
    Ok(())
}

#[tokio::test]
async fn more_wishes_to_take_topics_up_than_subscriptions_are_refused() -> Result<()> {
    let hive = Hive::start().await?;
    let epoch = hive.get("/api/v2/system").await?["epoch"].clone();
    let tasks: Vec<Value> = (0..1_000).map(|number| json!({"title": number.to_string()})).collect();
    for _ in 0..4 {
        hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
    }
    let path = format!("tasks?subscriptions=tasks&resume={}:0", epoch.as_str().context("an epoch")?);
    let mut watcher = Watcher::connect(&hive, &path).await?;
    for number in 0..40 {
        watcher.send(&subscribe(&["agents"], (&epoch, 0), &number.to_string())).await?;
    }
    let (mut resumed, mut refused) = (0, 0);
    while resumed + refused < 41 {
        let frame = watcher.frame().await?;
        resumed += usize::from(frame["type"] == "resumed");
        refused += usize::from(frame["code"] == "too_many_subscriptions");
    }
    ensure!(refused > 0, "ten wait at most");
    Ok(())
}

#[tokio::test]
async fn a_place_before_what_is_kept_is_not_recovered_and_the_state_follows() -> Result<()> {
    let hive = Hive::start().await?;
    for _ in 0..5 {
        hive.submit(&json!({"title": "t"})).await?;
    }
    let system = hive.get("/api/v2/system").await?;
    let (epoch, head) = (&system["epoch"], system["log"]["last_seq"].as_i64().context("a head")?);
    // As retention leaves it.
    database::of(
        &hive,
        &format!("DELETE FROM events WHERE seq < {head}; UPDATE hive SET events_floor = {head} - 1"),
    )?;
    let resume = |place: i64| format!("tasks?resume={}:{place}", epoch.as_str().unwrap_or_default());
    for (place, recovered) in [(0, false), (head - 2, false), (head - 1, true), (head, true)] {
        let mut watcher = Watcher::connect(&hive, &resume(place)).await?;
        let resumed = watcher.of_type("resumed").await?;
        ensure!(resumed["recovered"] == recovered, "{place} of {head}: {resumed}");
        if !recovered {
            let state = watcher.frame().await?;
            ensure!(state["type"] == "dashboard_initialized" && state["offset"] == head, "{state}");
        }
    }
    // The same for topics that join.
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    watcher.of_type("dashboard_initialized").await?;
    watcher.send(&subscribe(&["tasks"], (epoch, 0), "c-1")).await?;
    let resumed = watcher.of_type("resumed").await?;
    ensure!(resumed["recovered"] == false && resumed["correlation_id"] == "c-1", "{resumed}");
    ensure!(watcher.frame().await?["type"] == "dashboard_initialized");
    Ok(())
}

#[tokio::test]
async fn what_is_removed_while_it_is_read_is_told_and_is_nobodys_slowness() -> Result<()> {
    let hive = Hive::start().await?;
    let tasks: Vec<Value> = (0..300).map(|number| json!({"title": number.to_string()})).collect();
    hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
    let system = hive.get("/api/v2/system").await?;
    let (epoch, head) = (&system["epoch"], system["log"]["last_seq"].as_i64().context("a head")?);
    // A hole within a page of history, and the log begins before it: nobody can know of it before.
    database::of(&hive, "DELETE FROM events WHERE seq BETWEEN 100 AND 180")?;
    let path =
        format!("tasks?subscriptions=tasks&strict=true&resume={}:1", epoch.as_str().unwrap_or_default());
    let mut watcher = Watcher::connect(&hive, &path).await?;
    ensure!(watcher.of_type("resumed").await?["recovered"] == true);
    let mut last = 1;
    let skipped = loop {
        let frame = watcher.frame().await?;
        if frame["type"] == "task_event" {
            last = frame["offset"].as_i64().context("an offset")?;
        } else if frame["type"] == "events_skipped" {
            break frame;
        }
    };
    ensure!(last == 99 && skipped["from"] == 100 && skipped["to"] == head, "{skipped} after {last}");
    ensure!(watcher.frame().await?["type"] == "dashboard_initialized", "and the session goes on");
    hive.submit(&json!({"title": "next"})).await?;
    ensure!(watcher.event().await?["offset"] == head + 1);
    let dropped = counted(&hive, "hive_ws_drops_total", "history_gone").await?;
    ensure!((dropped - (head - 99) as f64).abs() < 0.5, "{dropped}");
    ensure!(counted(&hive, "hive_ws_drops_total", "slow_consumer").await? == 0.0);
    Ok(())
}
