//! Sessions over WebSocket against the real program: what is said, in which order, and to whom.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::Hive;
use tests::watcher::{Said, Watcher};

async fn submit(hive: &Hive, title: &str) -> Result<String> {
    hive.submit(&json!({"title": title})).await
}

/// The kind of an event's frame.
fn kind(frame: &Value) -> &str {
    frame["data"]["kind"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_session_begins_with_itself_and_a_snapshot_and_then_tells_every_event_in_order() -> Result<()> {
    let hive = Hive::start().await?;
    submit(&hive, "before").await?;
    let mut watcher = Watcher::connect(&hive, "dashboard").await?;
    let first = watcher.frame().await?;
    ensure!(first["type"] == "connection_established", "{first}");
    ensure!(first["subscriptions"] == json!(["agents", "coordination", "system", "tasks"]), "{first}");
    ensure!(first["contract_version"] == "1.1.0", "{first}");
    let snapshot = watcher.frame().await?;
    ensure!(snapshot["type"] == "dashboard_initialized", "{snapshot}");
    ensure!(snapshot["snapshot"]["tasks"]["queue_length"] == 1, "{snapshot}");
    ensure!(snapshot["snapshot"]["system"]["redis_status"] == "not_configured", "{snapshot}");
    let id = submit(&hive, "after").await?;
    let event = watcher.event().await?;
    ensure!((kind(&event), &event["data"]["task_id"]) == ("task.submitted", &json!(id)), "{event}");
    ensure!(event["subscription"] == "tasks" && event["data"]["queue"] == "default", "{event}");
    let from = snapshot["offset"].as_i64().context("an offset")?;
    ensure!(event["offset"] == from + 1 && event["epoch"] == first["epoch"], "{event}");
    let logged = hive.get(&format!("/api/v2/events?after={from}")).await?;
    ensure!(event["data"] == logged["items"][0], "the event is as the log shows it");
    Ok(())
}

#[tokio::test]
async fn each_endpoint_has_its_usual_topics_and_takes_others_by_name() -> Result<()> {
    let hive = Hive::start().await?;
    for (endpoint, topics) in [
        ("dashboard", json!(["agents", "coordination", "system", "tasks"])),
        ("agents", json!(["agents", "system"])),
        ("coordination", json!(["alerts", "coordination", "system"])),
        ("tasks", json!(["agents", "tasks"])),
        ("system", json!(["alerts", "system"])),
        ("tasks?subscriptions=%20Agents,/project_index/", json!(["agents", "project_index"])),
    ] {
        let first = Watcher::connect(&hive, endpoint).await?.frame().await?;
        ensure!(first["subscriptions"] == topics, "{endpoint}: {first}");
    }
    Ok(())
}

#[tokio::test]
async fn topics_come_and_go_and_each_change_is_answered_with_what_is_subscribed_to_now() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=system").await?;
    watcher.of_type("dashboard_initialized").await?;
    let before = submit(&hive, "before").await?;
    watcher
        .send(&json!({"type": "subscribe", "subscriptions": ["tasks", "zebra", "a//b"], "correlation_id": "c-1"}))
        .await?;
    let error = watcher.frame().await?;
    ensure!(error["message"] == "Invalid subscription(s): a//b, zebra", "{error}");
    ensure!(error["data"]["message"] == error["message"] && error["correlation_id"] == "c-1", "{error}");
    let updated = watcher.frame().await?;
    ensure!(updated["type"] == "subscription_updated" && updated["correlation_id"] == "c-1", "{updated}");
    ensure!(updated["subscriptions"] == json!(["system", "tasks"]), "{updated}");
    let id = submit(&hive, "heard").await?;
    // What was committed right before the subscription may still have been on its way.
    let mut event = watcher.event().await?;
    while event["data"]["task_id"] == json!(before) {
        event = watcher.event().await?;
    }
    ensure!(event["data"]["task_id"] == json!(id), "the first task after the subscription is told: {event}");
    watcher.send(&json!({"type": "unsubscribe", "subscriptions": ["TASKS"]})).await?;
    let updated = watcher.of_type("subscription_updated").await?;
    ensure!(updated["subscriptions"] == json!(["system"]), "{updated}");
    submit(&hive, "unheard").await?;
    let before = watcher.settle().await?;
    ensure!(before.iter().all(|frame| frame["type"] != "task_event"), "{before:?}");
    Ok(())
}

#[tokio::test]
async fn a_path_below_a_topic_brings_what_concerns_it_and_nothing_else() -> Result<()> {
    let hive = Hive::start().await?;
    let first = hive.submit(&json!({"title": "a", "queue": "fast"})).await?;
    let path = format!("tasks?subscriptions=tasks/{first},tasks/queue/slow");
    let mut watcher = Watcher::connect(&hive, &path).await?;
    watcher.of_type("dashboard_initialized").await?;
    hive.submit(&json!({"title": "b", "queue": "fast"})).await?;
    let slow = hive.submit(&json!({"title": "c", "queue": "slow"})).await?;
    hive.post(&format!("/api/v2/tasks/{first}/cancel"), &json!({}), 200).await?;
    let seen = [watcher.event().await?, watcher.event().await?];
    ensure!(seen[0]["data"]["task_id"] == json!(slow) && seen[0]["subscription"] == "tasks", "{seen:?}");
    ensure!(seen[1]["data"]["task_id"] == json!(first) && kind(&seen[1]) == "task.canceled", "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn an_event_of_several_subscriptions_is_delivered_once() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "tasks?subscriptions=tasks,tasks/queue/default").await?;
    watcher.of_type("dashboard_initialized").await?;
    let ids = [submit(&hive, "a").await?, submit(&hive, "b").await?];
    for id in ids {
        ensure!(watcher.event().await?["data"]["task_id"] == json!(id));
    }
    Ok(())
}

#[tokio::test]
async fn totals_are_exact_at_their_offset_and_come_behind_the_events_they_count() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    let mut waiting = watcher.of_type("dashboard_initialized").await?["snapshot"]["tasks"]["queue_length"]
        .as_i64()
        .context("a number")?;
    let (mut place, mut updates) = (0, 0);
    let submits = async {
        for round in 0..60 {
            submit(&hive, &round.to_string()).await?;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let watch = async {
        while updates < 3 || waiting < 60 {
            let frame = watcher.frame().await?;
            if frame["type"] == "task_event" {
                waiting += 1;
                place = frame["offset"].as_i64().context("an offset")?;
            } else if frame["type"] == "task_update" {
                updates += 1;
                ensure!(frame["data"]["queue_length"] == waiting, "after {waiting} events: {frame}");
                ensure!(frame["offset"].as_i64() >= Some(place), "{frame}");
            }
        }
        Ok(())
    };
    let (submitted, watched) = tokio::join!(submits, watch);
    submitted?;
    watched
}

#[tokio::test]
async fn agents_in_a_snapshot_are_counted_as_they_are_also_after_a_restart() -> Result<()> {
    let mut hive = Hive::start().await?;
    let working = hive.agent("one", &[], 1).await?;
    hive.agent("two", &[], 1).await?;
    submit(&hive, "a").await?;
    ensure!(hive.lease(&working, 1, 5_000).await?.len() == 1);
    let expected = json!({"active_count": 1, "health_summary": {"healthy": 1, "degraded": 1}});
    let totals = async |hive: &Hive| {
        let mut watcher = Watcher::connect(hive, "agents").await?;
        let mut totals = watcher.of_type("dashboard_initialized").await?["snapshot"]["agents"].take();
        totals.as_object_mut().context("totals")?.remove("last_updated");
        anyhow::Ok(totals)
    };
    // That an agent is there is seen, and stored, a moment after its call.
    let began = std::time::Instant::now();
    while totals(&hive).await? != expected {
        ensure!(began.elapsed() < tests::PATIENCE, "{}", totals(&hive).await?);
    }
    hive.kill()?;
    let again = Hive::start_with(tests::Options::default().folder(hive.folder())).await?;
    ensure!(totals(&again).await? == expected, "{}", totals(&again).await?);
    Ok(())
}

#[tokio::test]
async fn data_is_asked_for_by_type_and_what_is_unknown_is_said() -> Result<()> {
    let hive = Hive::start().await?;
    let id = submit(&hive, "a").await?;
    let mut watcher = Watcher::connect(&hive, "dashboard").await?;
    for data_type in ["agent_status", "coordination_metrics", "system_health", "task_list", "actor_tree"] {
        let ask = json!({"type": "request_data", "data_type": data_type, "correlation_id": data_type});
        watcher.send(&ask).await?;
        let answer = watcher.of_type("data_response").await?;
        ensure!(answer["data_type"] == data_type && answer["correlation_id"] == data_type, "{answer}");
        match data_type {
            "task_list" => ensure!(answer["data"]["items"][0]["id"] == json!(id), "{answer}"),
            "system_health" => ensure!(answer["data"]["status"] == "healthy", "{answer}"),
            "coordination_metrics" => ensure!(answer["data"]["totals"]["total_tasks"] == 1, "{answer}"),
            "actor_tree" => ensure!(answer["data"]["items"].as_array().context("items")?.len() > 5),
            _ => ensure!(answer["data"]["agents"] == json!([]), "{answer}"),
        }
    }
    let ask = |data_type: &str, params: Value| json!({"type": "request_data", "data_type": data_type, "params": params});
    watcher.send(&ask("weather", json!({}))).await?;
    ensure!(watcher.of_type("data_error").await?["error"] == "Unknown data type: weather");
    watcher.send(&ask("task_list", json!({"state": "working"}))).await?;
    ensure!(watcher.of_type("data_response").await?["data"]["items"] == json!([]));
    watcher.send(&ask("task_list", json!({"state": "asleep"}))).await?;
    let error = watcher.of_type("data_error").await?;
    ensure!(error["error"].as_str().context("a text")?.contains("state"), "{error}");
    Ok(())
}

#[tokio::test]
async fn sessions_stand_in_the_tree_of_actors_and_leave_it() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system").await?;
    let id = watcher.frame().await?["connection_id"].as_str().context("an id")?.to_owned();
    let tree = "/api/v2/system/actors?prefix=hive/sessions";
    let shown = hive.get(tree).await?;
    let items = shown["items"].as_array().context("items")?;
    let session =
        items.iter().find(|item| item["path"] == format!("hive/sessions/{id}")).context("a session")?;
    ensure!((&session["kind"], &session["state"]) == (&json!("session"), &json!("running")), "{session}");
    ensure!(items.iter().any(|item| item["kind"] == "hub"), "{shown}");
    drop(watcher);
    hive.until(tree, |shown| {
        shown["items"].as_array().is_some_and(|items| items.iter().all(|item| item["kind"] != "session"))
    })
    .await?;
    let failures = hive.get("/api/v2/system/actors").await?;
    ensure!(failures["recent_failures"] == json!([]), "a client that goes is no failure");
    Ok(())
}

#[tokio::test]
async fn an_operator_says_something_to_a_topic_and_ends_a_session() -> Result<()> {
    let hive = Hive::start().await?;
    let mut told = Watcher::connect(&hive, "system").await?;
    let id = told.frame().await?["connection_id"].as_str().context("an id")?.to_owned();
    let mut other = Watcher::connect(&hive, "tasks").await?;
    other.of_type("dashboard_initialized").await?;
    let path = "/api/dashboard/websocket/broadcast?subscription=alerts&message_type=maintenance";
    let answer = hive.post(path, &json!({"at": "22:00"}), 200).await?;
    ensure!(answer["sessions"] == 1, "{answer}");
    let said = told.of_type("operator_message").await?;
    ensure!(
        (&said["message_type"], &said["data"]) == (&json!("maintenance"), &json!({"at": "22:00"})),
        "{said}"
    );
    ensure!(other.settle().await?.iter().all(|frame| frame["type"] != "operator_message"));
    hive.post(&format!("/api/dashboard/websocket/disconnect/{id}"), &Value::Null, 200).await?;
    let (end, frames) = told.end().await?;
    ensure!(frames.last().is_some_and(|last| last["reason"] == "forbidden"), "{frames:?}");
    ensure!(end == Said::Close(4403, "forbidden".to_owned()), "{end:?}");
    hive.until("/api/dashboard/websocket/stats", |stats| stats["websocket_stats"]["total_connections"] == 1)
        .await?;
    let gone =
        hive.request(Method::POST, &format!("/api/dashboard/websocket/disconnect/{id}")).send().await?;
    ensure!(gone.status() == 404);
    Ok(())
}
