//! The numbers of sessions that no client can break: how much is shown, how often totals come, how long an answer may take; and
//! that what is shown of all this is measured.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::watcher::Watcher;
use tests::{Hive, Options, database};

use crate::live_limits::flood;
use crate::postgres_outages::Holder;

fn ask(data_type: &str, params: Value, id: usize) -> Value {
    let correlation_id = id.to_string();
    json!({"type": "request_data", "data_type": data_type, "params": params, "correlation_id": correlation_id})
}

/// How many items an answer has.
fn count(list: &Value) -> Result<usize> {
    Ok(list.as_array().context("a list")?.len())
}

#[tokio::test]
async fn the_limits_are_told_as_the_settings_have_them() -> Result<()> {
    let hive = Hive::start().await?;
    let mut told = hive.get("/api/dashboard/websocket/limits").await?;
    told.as_object_mut().context("limits")?.remove("timestamp").context("a timestamp")?;
    let expected = json!({
        "rate_limit_tokens_per_second": 20, "rate_limit_burst_capacity": 40, "rate_limit_notify_cooldown_seconds": 5,
        "max_inbound_message_bytes": 65_536, "max_subscriptions_per_connection": 10,
        "backpressure_disconnect_threshold": 5, "idle_disconnect_seconds": 600, "ws_auth_required": true,
        "ws_allowed_origins_configured": false, "contract_version": "1.1.0", "supported_versions": ["1.1.0", "1.0.0"],
    });
    ensure!(told == expected, "{told:#}");
    let options =
        Options::default().set("HIVE__WEBSOCKET__MESSAGES_PER_SECOND", 7).set("HIVE__WEBSOCKET__IDLE_S", 77);
    let other = Hive::start_with(options).await?.get("/api/dashboard/websocket/limits").await?;
    ensure!(other["rate_limit_tokens_per_second"] == 7 && other["idle_disconnect_seconds"] == 77, "{other}");
    Ok(())
}

#[tokio::test]
async fn eleven_topics_on_connecting_are_one_too_many_and_an_empty_name_is_none() -> Result<()> {
    let hive = Hive::start().await?;
    let eleven: Vec<String> = (0..11).map(|number| format!("tasks/queue/q{number}")).collect();
    for (topics, code, kept) in [
        (eleven.join(","), "too_many_subscriptions", json!([])),
        ("tasks,,agents".to_owned(), "invalid_subscription", json!(["agents", "tasks"])),
    ] {
        let mut watcher = Watcher::connect(&hive, &format!("tasks?subscriptions={topics}")).await?;
        ensure!(watcher.frame().await?["subscriptions"] == kept, "{topics}");
        let refused = watcher.frame().await?;
        ensure!(refused["code"] == code, "{topics}: {refused}");
        let subscribe: Vec<&str> = topics.split(',').collect();
        watcher.send(&json!({"type": "subscribe", "subscriptions": subscribe})).await?;
        ensure!(watcher.of_type("error").await?["message"] == refused["message"], "the same rule later");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_handshake_asks_for_is_read_strictly_and_a_denial_says_why() -> Result<()> {
    let hive = Hive::start().await?;
    for (query, code, field) in [
        ("topics=tasks", "unknown_field", "topics"),
        ("strict=maybe", "invalid_value", "strict"),
        ("strict=true&strict=true", "invalid_value", "strict"),
        ("resume=7", "invalid_value", "resume"),
    ] {
        let request = hive.request(Method::GET, &format!("/api/dashboard/ws/tasks?{query}"));
        let request = request
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer = request.send().await?;
        let (status, problem) = (answer.status(), answer.json::<Value>().await?);
        ensure!(status == 422 && problem["code"] == code, "{query}: {problem}");
        ensure!(problem["errors"][0]["field"] == field, "{query}: {problem}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hundred_connections_are_shown_one_by_one_and_all_are_counted() -> Result<()> {
    let hive = Hive::start().await?;
    let mut first = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    let oldest = first.frame().await?["connection_id"].clone();
    let _others =
        try_join_all((1..103).map(|_| Watcher::connect(&hive, "tasks?subscriptions=tasks"))).await?;
    let stats = hive.get("/api/dashboard/websocket/stats").await?;
    let shown = &stats["websocket_stats"];
    ensure!(count(&shown["active_connections"])? == 100 && shown["total_connections"] == 103, "{stats}");
    ensure!(shown["active_connections"][0]["connection_id"] == oldest, "the oldest first");
    Ok(())
}

#[tokio::test]
async fn the_metrics_of_sessions_are_measured_when_they_are_read_and_the_same_in_both_places() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watchers = [Watcher::connect(&hive, "tasks").await?, Watcher::connect(&hive, "system").await?];
    for watcher in &mut watchers {
        watcher.of_type("dashboard_initialized").await?;
    }
    for _ in 0..3 {
        hive.submit(&json!({"title": "t"})).await?;
        watchers[0].event().await?;
    }
    for path in ["/metrics", "/api/dashboard/metrics/websockets"] {
        let answer = hive.request(Method::GET, path).send().await?.error_for_status()?;
        ensure!(answer.headers()["content-type"] == "text/plain; version=0.0.4; charset=utf-8");
        let text = answer.text().await?;
        for line in [
            "hive_ws_queue_depth_events 3",
            "hive_ws_open_connections 2",
            "hive_ws_subscriptions{topic=\"agents\"} 1",
            "hive_ws_subscriptions{topic=\"alerts\"} 1",
            "hive_ws_subscriptions{topic=\"project_index\"} 0",
            "hive_ws_connections_total{endpoint=\"tasks\"} 1",
            "hive_ws_sent_messages_total{type=\"event\"} 3",
            "hive_ws_publish_seconds_count 3",
        ] {
            ensure!(text.lines().any(|known| known == line), "{path} lacks {line}:\n{text}");
        }
    }
    drop(watchers);
    hive.until("/api/dashboard/websocket/stats", |stats| stats["websocket_stats"]["total_connections"] == 0)
        .await?;
    let text = hive.request(Method::GET, "/metrics").send().await?.text().await?;
    ensure!(text.contains("hive_ws_subscriptions{topic=\"agents\"} 0\n"), "who is gone is not counted");
    Ok(())
}

#[tokio::test]
async fn the_health_of_sessions_is_the_share_that_takes_what_it_gets() -> Result<()> {
    let hive = Hive::start().await?;
    let health = "/api/dashboard/websocket/health";
    let empty = hive.get(health).await?;
    ensure!(empty["overall_health"] == json!({"score": 100.0, "status": "healthy"}), "{empty}");
    let mut slow = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    slow.of_type("dashboard_initialized").await?;
    let mut idle = Watcher::connect(&hive, "agents?subscriptions=agents").await?;
    idle.of_type("dashboard_initialized").await?;
    let mut half = hive.get(health).await?;
    let began = Instant::now();
    while half["connection_stats"]["blocked_connections"] != 1 {
        ensure!(began.elapsed() < tests::PATIENCE, "{half}");
        flood(&hive).await?;
        half = hive.get(health).await?;
    }
    ensure!(half["overall_health"] == json!({"score": 50.0, "status": "degraded"}), "{half}");
    ensure!(half["connection_stats"]["total_connections"] == 2, "{half}");
    drop(idle);
    let none = hive.until(health, |told| told["connection_stats"]["total_connections"] == 1).await?;
    ensure!(none["overall_health"] == json!({"score": 0.0, "status": "unhealthy"}), "{none}");
    Ok(())
}

#[tokio::test]
async fn what_an_operator_says_has_a_limit_and_who_was_reached_is_counted() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watchers = try_join_all((0..4).map(|_| Watcher::connect(&hive, "system"))).await?;
    let other = Watcher::connect(&hive, "tasks").await?;
    for watcher in &mut watchers {
        watcher.of_type("dashboard_initialized").await?;
    }
    let path = "/api/dashboard/websocket/broadcast";
    let body = |bytes: usize| json!("x".repeat(bytes - 2));
    let answer = hive.post(path, &body(65_536), 200).await?;
    ensure!(answer["sessions"] == 4, "over all threads: {answer}");
    for watcher in &mut watchers {
        ensure!(watcher.of_type("operator_message").await?["data"] == body(65_536));
    }
    ensure!(hive.post(path, &body(65_537), 413).await?["code"] == "payload_too_large");
    ensure!(hive.post(&format!("{path}?to=tasks"), &Value::Null, 422).await?["code"] == "unknown_field");
    let twice = format!("{path}?message_type=a&message_type=b");
    ensure!(hive.post(&twice, &Value::Null, 422).await?["code"] == "invalid_value");
    drop(other);
    Ok(())
}

#[tokio::test]
async fn a_list_in_an_answer_has_fifty_items_unless_asked_and_a_hundred_at_most() -> Result<()> {
    let hive = Hive::start().await?;
    let tasks: Vec<Value> = (0..120).map(|number| json!({"title": number.to_string()})).collect();
    hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
    for number in 0..103 {
        hive.agent(&format!("agent-{number}"), &[], 1).await?;
    }
    let mut watcher = Watcher::connect(&hive, "tasks?subscriptions=").await?;
    for (params, items) in [(json!({}), 50), (json!({"limit": 7}), 7), (json!({"limit": 200}), 100)] {
        watcher.send(&ask("task_list", params.clone(), 1)).await?;
        let answer = watcher.of_type("data_response").await?;
        ensure!(count(&answer["data"]["items"])? == items, "{params}");
    }
    watcher.send(&ask("agent_status", json!({}), 1)).await?;
    let answer = watcher.of_type("data_response").await?;
    ensure!(count(&answer["data"]["agents"])? == 100 && answer["data"]["total"] == 103);
    watcher.send(&ask("actor_tree", json!({"limit": 3}), 1)).await?;
    ensure!(count(&watcher.of_type("data_response").await?["data"]["items"])? == 3);
    Ok(())
}

#[tokio::test]
async fn thirty_two_questions_wait_for_the_one_that_is_answered_and_a_store_that_hangs_is_no_answer()
-> Result<()> {
    let url = database::schema("slow")?;
    let hive = Hive::start_with(Options::default().set("HIVE__DATABASE__URL", &url)).await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    watcher.of_type("dashboard_initialized").await?;
    let holder = Holder::of(&url, "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")?;
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted";
    let began = std::time::Instant::now();
    while database::sql(&url, locked)? == "0" {
        ensure!(began.elapsed() < tests::PATIENCE, "the table is never locked");
    }
    for number in 0..36 {
        watcher.send(&ask("task_list", json!({}), number)).await?;
    }
    for number in 33..36 {
        let refused = watcher.of_type("data_error").await?;
        ensure!(refused["error"] == "Too many requests wait for their answers", "{refused}");
        let id = number.to_string();
        ensure!(refused["correlation_id"] == *id, "one is asked, 32 wait: {refused}");
    }
    let late = watcher.of_type("data_error").await?;
    ensure!(late["correlation_id"] == "0", "nobody waits for ever: {late}");
    holder.let_go()?;
    let answer = watcher.of_type("data_response").await?;
    ensure!(answer["data_type"] == "task_list", "those that waited are answered: {answer}");
    Ok(())
}

#[tokio::test]
async fn slow_totals_come_once_a_second_at_most_and_every_thirty_seconds_at_least() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    watcher.of_type("dashboard_initialized").await?;
    let mut last = None;
    // Seconds since the one before.
    let mut update = async |watcher: &mut Watcher| -> Result<f64> {
        // Half a minute is as long as the others are patient: a second time then.
        let frame = match watcher.of_type("task_update").await {
            Ok(frame) => frame,
            Err(_) => watcher.of_type("task_update").await?,
        };
        let text = frame["timestamp"].as_str().context("a time")?;
        let (minutes, seconds) = text[14..].trim_end_matches('Z').split_once(':').context("a time")?;
        let at = minutes.parse::<f64>()? * 60.0 + seconds.parse::<f64>()?;
        Ok(last.replace(at).map_or(1.0, |before| (at - before).rem_euclid(3_600.0)))
    };
    let busy = async {
        loop {
            hive.submit(&json!({"title": "t"})).await?;
        }
    };
    let watching = async {
        for _ in 0..4 {
            let passed = update(&mut watcher).await?;
            ensure!(passed > 0.9, "{passed} s after the one before");
        }
        anyhow::Ok(())
    };
    tokio::select! {
        watched = watching => watched?,
        failed = busy => return failed,
    }
    // What was under way is counted once more; then nothing happens, and the totals come all the same.
    let began = std::time::Instant::now();
    loop {
        let passed = update(&mut watcher).await?;
        if passed > 5.0 {
            ensure!((29.0..=32.0).contains(&passed), "{passed} s");
            return Ok(());
        }
        ensure!(began.elapsed() < tests::PATIENCE, "the totals change all the time");
    }
}
