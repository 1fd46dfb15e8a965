//! Every limit of a session and every close code, each met on purpose.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::watcher::{Said, Watcher};
use tests::{Hive, Options};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::live_frames::Raw;

const TOKENS: &str = "/api/v2/auth/keys";

/// A counter of the sessions' metrics.
pub async fn counted(hive: &Hive, family: &str, label: &str) -> Result<f64> {
    let request = hive.request(Method::GET, "/api/dashboard/metrics/websockets");
    let all: Value = request.header("accept", "application/json").send().await?.json().await?;
    let value = if label.is_empty() { &all[family] } else { &all[family][label] };
    Ok(value.as_f64().unwrap_or(0.0))
}

/// Waits until a counter has this value.
pub async fn until_counted(hive: &Hive, family: &str, label: &str, expected: f64) -> Result<()> {
    let began = std::time::Instant::now();
    loop {
        let value = counted(hive, family, label).await?;
        if (value - expected).abs() < 0.5 {
            return Ok(());
        }
        ensure!(began.elapsed() < tests::PATIENCE, "{family} {label} is {value}, not {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A key of this role.
pub async fn key(hive: &Hive, body: Value) -> Result<(String, String)> {
    let made = hive.post(TOKENS, &body, 201).await?;
    let text = |name: &str| Ok::<_, anyhow::Error>(made[name].as_str().context("a text")?.to_owned());
    Ok((text("id")?, text("key")?))
}

#[tokio::test]
async fn a_handshake_needs_a_token_in_one_of_three_places_and_a_bad_one_is_401() -> Result<()> {
    let hive = Hive::start().await?;
    let token = hive.token.clone();
    let bearer = format!("Bearer {token}");
    let offered = format!("agent-hive, bearer.{token}");
    let named = format!("system?access_token={token}");
    for (path, headers) in [
        ("system", vec![("authorization", bearer.as_str())]),
        (named.as_str(), vec![]),
        ("system", vec![("sec-websocket-protocol", offered.as_str())]),
    ] {
        let mut watcher =
            Watcher::handshake(&hive, path, &headers).await?.map_err(|status| anyhow::anyhow!("{status}"))?;
        ensure!(watcher.frame().await?["type"] == "connection_established", "{headers:?}");
    }
    for (path, headers) in [
        ("system", vec![]),
        ("system", vec![("authorization", "Bearer wrong")]),
        ("system?access_token=wrong", vec![]),
        ("system", vec![("sec-websocket-protocol", "bearer.wrong")]),
    ] {
        let status = Watcher::handshake(&hive, path, &headers).await?.err();
        ensure!(status == Some(401), "{path} {headers:?}: {status:?}");
    }
    ensure!(counted(&hive, "hive_ws_denials_total", "auth").await? == 4.0);
    let plain = hive.request(Method::GET, "/api/dashboard/ws/system").send().await?;
    let (status, problem) = (plain.status(), plain.json::<Value>().await?);
    ensure!(status == 400 && problem["code"] == "malformed_json", "{problem}");
    ensure!(counted(&hive, "hive_ws_denials_total", "handshake").await? == 1.0);
    ensure!(counted(&hive, "hive_ws_connections_total", "system").await? == 3.0, "a denial is no connection");
    ensure!(!hive.log().contains(&token), "no token is logged");
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_with_403_unless_the_settings_name_it() -> Result<()> {
    let options = Options::default().set("HIVE__WEBSOCKET__ALLOWED_ORIGINS", "https://ops.example");
    let hive = Hive::start_with(options).await?;
    let bearer = format!("Bearer {}", hive.token);
    let try_from = async |origin: &str| {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        anyhow::Ok(Watcher::handshake(&hive, "system", &headers).await?.err())
    };
    ensure!(try_from("https://evil.example").await? == Some(403));
    ensure!(try_from("null").await? == Some(403));
    ensure!(try_from("https://ops.example").await?.is_none());
    ensure!(try_from(&hive.url).await?.is_none(), "the hive's own pages may");
    ensure!(counted(&hive, "hive_ws_denials_total", "origin").await? == 2.0);
    let limits = hive.get("/api/dashboard/websocket/limits").await?;
    ensure!(limits["ws_allowed_origins_configured"] == true, "{limits}");
    Ok(())
}

#[tokio::test]
async fn an_agents_key_sees_its_own_agent_and_is_closed_with_4403_where_it_may_see_nothing() -> Result<()> {
    let hive = Hive::start().await?;
    let own = hive.agent("own", &[], 1).await?;
    let (_, key) = key(&hive, json!({"name": "own", "role": "agent", "agent_id": own})).await?;
    let path = format!("agents?subscriptions=agents/{own},tasks");
    let mut watcher = Watcher::connect_as(&hive, &path, &key).await?;
    ensure!(watcher.frame().await?["subscriptions"] == json!([format!("agents/{own}")]));
    let refused = watcher.of_type("error").await?;
    ensure!(refused["message"] == "Not permitted to your role: tasks", "{refused}");
    watcher.send(&json!({"type": "request_data", "data_type": "task_list"})).await?;
    ensure!(watcher.of_type("data_error").await?["error"] == "Not permitted to your role");
    let mut nothing = Watcher::connect_as(&hive, "dashboard", &key).await?;
    let (end, frames) = nothing.end().await?;
    ensure!(end == Said::Close(4403, "forbidden".to_owned()), "{end:?}");
    ensure!(frames.last().is_some_and(|last| last["type"] == "disconnect_notice"), "{frames:?}");
    until_counted(&hive, "hive_ws_disconnections_total", "forbidden", 1.0).await
}

#[tokio::test]
async fn a_session_whose_key_is_removed_is_closed_with_4401() -> Result<()> {
    let hive = Hive::start().await?;
    let (id, key) = key(&hive, json!({"name": "short", "role": "viewer"})).await?;
    let mut watcher = Watcher::connect_as(&hive, "tasks", &key).await?;
    watcher.of_type("dashboard_initialized").await?;
    let removed = hive.request(Method::DELETE, &format!("{TOKENS}/{id}")).send().await?;
    ensure!(removed.status() == 204, "{removed:?}");
    let (end, frames) = watcher.end().await?;
    ensure!(end == Said::Close(4401, "credentials".to_owned()), "{end:?}");
    ensure!(frames.last().is_some_and(|last| last["reason"] == "credentials"), "{frames:?}");
    until_counted(&hive, "hive_ws_disconnections_total", "credentials", 1.0).await
}

#[tokio::test]
async fn a_burst_passes_and_what_comes_on_top_is_dropped_with_one_error() -> Result<()> {
    let options = Options::default().set("HIVE__WEBSOCKET__MESSAGES_PER_SECOND", 1);
    let hive = Hive::start_with(options).await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    watcher.of_type("dashboard_initialized").await?;
    for number in 0..140 {
        watcher.send(&json!({"type": "ping", "correlation_id": number.to_string()})).await?;
    }
    watcher.send_raw(Message::Ping(Bytes::from_static(b"unanswered"))).await?;
    until_counted(&hive, "hive_ws_received_messages_total", "ping", 1.0).await?;
    let dropped = counted(&hive, "hive_ws_drops_total", "rate_limit").await?;
    watcher.send_raw(Message::Close(None)).await?;
    let (_, frames) = watcher.end().await?;
    let pongs = frames.iter().filter(|frame| frame["type"] == "pong").count();
    ensure!((40..=50).contains(&pongs), "a burst of 40, and what time brought: {pongs}");
    let errors: Vec<_> = frames.iter().filter(|frame| frame["type"] == "error").collect();
    ensure!(errors.len() <= 2 && errors[0]["message"] == "Rate limit exceeded", "{errors:?}");
    ensure!(errors[0]["code"] == "rate_limited" && pongs + dropped as usize == 141, "{pongs} and {dropped}");
    Ok(())
}

#[tokio::test]
async fn a_flood_is_closed_with_4429() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    for _ in 0..1_300 {
        if watcher.send(&json!({"type": "ping"})).await.is_err() {
            break;
        }
    }
    let (end, _) = watcher.end().await?;
    ensure!(end == Said::Close(4429, "flood".to_owned()), "{end:?}");
    until_counted(&hive, "hive_ws_disconnections_total", "flood", 1.0).await
}

#[tokio::test]
async fn a_message_above_the_limit_is_answered_and_the_session_goes_on() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    watcher.of_type("dashboard_initialized").await?;
    let padded = |bytes: usize| {
        let bare = r#"{"type":"ping","pad":""}"#.len();
        format!(r#"{{"type":"ping","pad":"{}"}}"#, "x".repeat(bytes - bare))
    };
    watcher.send_raw(Message::text(padded(65_536))).await?;
    ensure!(watcher.frame().await?["type"] == "pong", "the limit itself passes");
    watcher.send_raw(Message::text(padded(65_537))).await?;
    let refused = watcher.frame().await?;
    ensure!(refused["message"] == "Message too large" && refused["code"] == "message_too_large", "{refused}");
    watcher.settle().await?;
    watcher.send_raw(Message::text("x".repeat(1 << 20))).await?;
    ensure!(watcher.frame().await?["code"] == "message_too_large", "before it is parsed");
    ensure!(counted(&hive, "hive_ws_drops_total", "too_large").await? == 2.0);
    Ok(())
}

#[tokio::test]
async fn a_message_above_one_mebibyte_is_closed_with_1009() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    watcher.of_type("dashboard_initialized").await?;
    // The hive closes while this is still being sent.
    let _ = watcher.send_raw(Message::text("x".repeat((1 << 20) + 1))).await;
    let (end, _) = watcher.end().await?;
    ensure!(matches!(end, Said::Close(1009, _) | Said::Gone), "{end:?}");
    until_counted(&hive, "hive_ws_disconnections_total", "message_too_large", 1.0).await
}

#[tokio::test]
async fn ten_subscriptions_fit_and_an_eleventh_is_refused() -> Result<()> {
    let hive = Hive::start().await?;
    let ten: Vec<String> = (0..10).map(|number| format!("tasks/queue/q{number}")).collect();
    let mut watcher = Watcher::connect(&hive, &format!("tasks?subscriptions={}", ten.join(","))).await?;
    watcher.of_type("dashboard_initialized").await?;
    watcher.send(&json!({"type": "subscribe", "subscriptions": ["agents"]})).await?;
    let refused = watcher.frame().await?;
    ensure!(refused["message"] == "Too many subscriptions requested", "{refused}");
    let updated = watcher.frame().await?;
    ensure!(updated["subscriptions"] == json!(ten), "nothing was added: {updated}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_is_said_and_the_session_goes_on() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=").await?;
    watcher.of_type("dashboard_initialized").await?;
    for bad in ["", "nonsense", "[]", "{}", r#"{"type":7}"#, r#"{"type":"subscribe"}"#] {
        watcher.send_raw(Message::text(bad)).await?;
        let refused = watcher.frame().await?;
        ensure!(refused["message"] == "Invalid JSON message format", "{bad}: {refused}");
    }
    watcher.send_raw(Message::binary(br#"{"type":"ping"}"#.to_vec())).await?;
    ensure!(watcher.frame().await?["code"] == "invalid_json", "a binary message is none");
    watcher.send(&json!({"type": "dance", "correlation_id": "c-7"})).await?;
    let refused = watcher.frame().await?;
    ensure!(refused["message"] == "Unknown message type: dance" && refused["correlation_id"] == "c-7");
    ensure!(watcher.settle().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn whoever_answers_no_ping_is_closed_with_4410_and_whoever_does_stays() -> Result<()> {
    let options = Options::default().set("HIVE__WEBSOCKET__IDLE_S", 3).set("HIVE__WEBSOCKET__PING_S", 1);
    let hive = Hive::start_with(options).await?;
    let mut listener = Watcher::connect(&hive, "system").await?;
    let mute = Raw::open(&hive)?;
    let mut pings = 0;
    // Reading is what answers pings.
    while pings < 6 {
        pings += usize::from(listener.next().await? == Said::Ping);
    }
    until_counted(&hive, "hive_ws_disconnections_total", "idle", 1.0).await?;
    mute.closed(4410)?;
    listener.settle().await?;
    Ok(())
}

#[tokio::test]
async fn a_stop_says_so_and_closes_with_1001() -> Result<()> {
    let mut hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "dashboard").await?;
    watcher.of_type("dashboard_initialized").await?;
    hive.signal(Signal::TERM)?;
    let (end, frames) = watcher.end().await?;
    ensure!(end == Said::Close(1001, "shutdown".to_owned()), "{end:?}");
    let last = frames.last().context("a notice")?;
    ensure!((&last["type"], &last["reason"]) == (&json!("disconnect_notice"), &json!("shutdown")), "{last}");
    ensure!(hive.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn sessions_are_capped_for_the_hive_and_for_each_principal() -> Result<()> {
    let options = Options::default()
        .set("HIVE__WEBSOCKET__SESSIONS", 3)
        .set("HIVE__WEBSOCKET__SESSIONS_PER_PRINCIPAL", 2);
    let hive = Hive::start_with(options).await?;
    let (_, key) = key(&hive, json!({"name": "one", "role": "viewer"})).await?;
    let admin = format!("Bearer {}", hive.token);
    let viewer = format!("Bearer {key}");
    let enter = async |bearer: &str| Watcher::handshake(&hive, "system", &[("authorization", bearer)]).await;
    let (first, second) = (enter(&admin).await?, enter(&admin).await?);
    ensure!(first.is_ok() && second.is_ok());
    ensure!(enter(&admin).await?.err() == Some(429), "the principal has as many as it may");
    let third = enter(&viewer).await?;
    ensure!(third.is_ok());
    ensure!(enter(&viewer).await?.err() == Some(503), "the hive has as many as it may");
    drop(first);
    hive.until("/api/dashboard/websocket/stats", |stats| stats["websocket_stats"]["total_connections"] == 2)
        .await?;
    ensure!(enter(&admin).await?.is_ok(), "who leaves makes room");
    Ok(())
}

/// Fills the log with events of tasks until a session has missed enough.
pub async fn flood_until(hive: &Hive, family: &str, label: &str) -> Result<()> {
    let began = std::time::Instant::now();
    while counted(hive, family, label).await? < 1.0 {
        ensure!(began.elapsed() < tests::PATIENCE, "{family} {label} was never counted");
        flood(hive).await?;
    }
    Ok(())
}

/// Puts events of 2,000 tasks into the log.
pub async fn flood(hive: &Hive) -> Result<()> {
    let tasks: Vec<Value> = (0..500).map(|number| json!({"title": format!("{number}")})).collect();
    let batch = json!({"tasks": tasks});
    try_join_all((0..4).map(|_| hive.post("/api/v2/tasks/bulk", &batch, 200))).await?;
    Ok(())
}

#[tokio::test]
async fn a_slow_consumer_is_told_what_it_missed_and_sees_the_state() -> Result<()> {
    let hive = Hive::start().await?;
    let mut slow = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    slow.of_type("dashboard_initialized").await?;
    let mut reader = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    let mut place = reader.of_type("dashboard_initialized").await?["offset"].as_i64().context("an offset")?;
    let reading = async {
        loop {
            let event = reader.event().await?;
            ensure!(event["offset"] == place + 1, "a reader gets every event: {event} after {place}");
            place += 1;
        }
    };
    tokio::select! {
        flooded = flood_until(&hive, "hive_ws_backpressure_total", "") => flooded?,
        read = reading => return read,
    }
    let mut last = 0;
    loop {
        let frame = slow.frame().await?;
        if frame["type"] == "task_event" {
            last = frame["offset"].as_i64().context("an offset")?;
        }
        if frame["type"] == "events_skipped" {
            ensure!(frame["from"] == last + 1, "{frame} after {last}");
            last = frame["to"].as_i64().context("an offset")?;
            break;
        }
    }
    let state = slow.frame().await?;
    ensure!(state["type"] == "dashboard_initialized" && state["offset"] == last, "{state} after {last}");
    hive.submit(&json!({"title": "next"})).await?;
    ensure!(slow.event().await?["offset"] == last + 1, "and goes on right behind it");
    ensure!(counted(&hive, "hive_ws_drops_total", "slow_consumer").await? > 0.0);
    Ok(())
}

#[tokio::test]
async fn a_strict_slow_consumer_is_closed_with_4408() -> Result<()> {
    let hive = Hive::start().await?;
    let mut slow = Watcher::connect(&hive, "tasks?subscriptions=tasks&strict=true").await?;
    slow.of_type("dashboard_initialized").await?;
    flood_until(&hive, "hive_ws_backpressure_total", "").await?;
    let (end, frames) = slow.end().await?;
    ensure!(end == Said::Close(4408, "slow_consumer".to_owned()), "{end:?}");
    ensure!(frames.last().is_some_and(|last| last["reason"] == "slow_consumer"), "{:?}", frames.last());
    until_counted(&hive, "hive_ws_disconnections_total", "slow_consumer", 1.0).await
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_ended_and_counted_as_a_slow_consumer() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__WEBSOCKET__SLOW_MS", 1_000)).await?;
    let mut slow = Watcher::connect(&hive, "tasks?subscriptions=tasks").await?;
    slow.of_type("dashboard_initialized").await?;
    flood_until(&hive, "hive_ws_send_failures_total", "").await?;
    until_counted(&hive, "hive_ws_disconnections_total", "slow_consumer", 1.0).await
}
