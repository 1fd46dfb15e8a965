//! Tests of what the monitor makes of its news.

use protocol::live::frame::Frame;
use serde_json::{Value, json};

use super::*;

pub(in crate::monitor) fn system() -> SystemView {
    serde_json::from_value(json!({
        "version": "0.1.0", "uptime_seconds": 60, "started_at": "2026-01-31T12:00:00Z", "phase": "serving", "node": 0,
        "database": "sqlite", "data_dir": "/x", "epoch": "e-1",
        "tasks": {"scheduled": 0, "queued": 0, "working": 0, "completed": 0, "failed": 0, "canceled": 0, "total": 0},
        "agents": {"idle": 0, "working": 0, "draining": 0, "stalled": 0, "offline": 0, "failed": 0, "total": 0},
        "log": {"first_seq": 1, "last_seq": 1},
        "rates": {"window_seconds": 60, "submitted_per_second": 0.0, "started_per_second": 0.0,
            "completed_per_second": 0.0, "failed_per_second": 0.0},
    }))
    .unwrap()
}

pub(in crate::monitor) fn at(second: i64) -> Timestamp {
    protocol::time::read("2026-01-31T12:00:00Z").unwrap().plus_ms(u64::try_from(second).unwrap() * 1_000)
}

pub(in crate::monitor) fn frame(mut value: Value) -> News {
    value["timestamp"] = json!("2026-01-31T12:00:00Z");
    value["correlation_id"] = json!("c");
    let frame: Frame = serde_json::from_value(value).unwrap();
    News::Frame(Box::new(frame))
}

pub(in crate::monitor) fn event(seq: i64, second: i64, kind: &str) -> News {
    frame(json!({"type": "task_event", "subscription": "tasks", "epoch": "e-1", "offset": seq, "data": {
        "seq": seq, "at": protocol::time::show(at(second)), "kind": kind, "task_id": "task_1", "agent_id": "agent_1",
        "attempt": null, "queue": "default", "correlation_id": "c", "data": {}}}))
}

fn connected() -> Picture {
    let mut picture = Picture::new("http://127.0.0.1:1", system());
    picture.hear(News::Connected(Box::new(system())), at(0));
    picture
}

#[test]
fn the_place_is_that_of_events_and_totals_and_never_of_the_greeting() {
    let mut picture = connected();
    let greeting = json!({"type": "connection_established", "connection_id": "ws_1", "subscriptions": [],
        "server_time": "2026-01-31T12:00:00Z", "contract_version": "1.1.0", "epoch": "e-1", "offset": 90});
    picture.hear(frame(greeting), at(0));
    assert_eq!(picture.place, None);
    picture.hear(event(41, 1, "task.submitted"), at(1));
    assert_eq!(picture.place, Some(("e-1".to_owned(), 41)));
}

#[test]
fn what_breaks_is_told_since_when_and_what_comes_later_counts_when_it_happened() {
    let mut picture = connected();
    picture.hear(News::Away("first".into()), at(1));
    let Connection::Away { since, .. } = picture.connection.clone() else {
        panic!("{:?}", picture.connection)
    };
    picture.hear(News::Away("second \u{1b}[2J".into()), at(5));
    assert_eq!(picture.connection, Connection::Away { since, why: "second \\u{1b}[2J".into() });
    picture.hear(News::Connected(Box::new(system())), at(20));
    for second in 2..20 {
        picture.hear(event(second, second, "task.completed"), at(20));
    }
    assert_eq!(picture.connection, Connection::Live);
    assert_eq!(picture.rates.per_second(super::super::rates::Counted::Completed, at(20)), Some(18.0 / 19.0));
}

#[test]
fn alerts_stay_until_they_are_over_and_are_told_anew_by_a_new_session() {
    let alert = |level: &str, figures: u32| {
        frame(json!({"type": "critical_alert", "subscription": "alerts", "data": {"alerts": [
            {"level": level, "message": format!("dead_letter_burst: {figures} tasks"), "action": "Look."}]}}))
    };
    let mut picture = connected();
    picture.hear(alert("critical", 10), at(0));
    picture.hear(alert("critical", 12), at(0));
    assert_eq!(picture.alerts.len(), 1);
    picture.hear(alert("resolved", 12), at(0));
    assert!(picture.alerts.is_empty());
    picture.hear(alert("critical", 10), at(0));
    picture.hear(News::Connected(Box::new(system())), at(0));
    assert!(picture.alerts.is_empty(), "the new session tells what is raised");
}

#[test]
fn holes_are_told_and_no_more_is_kept_than_is_promised() {
    let mut picture = connected();
    picture.hear(frame(json!({"type": "events_skipped", "from": 5, "to": 9})), at(0));
    picture.hear(frame(json!({"type": "resumed", "recovered": false, "from": 5, "to": 9})), at(0));
    let notes: Vec<String> = picture.events.iter().map(|line| format!("{line:?}")).collect();
    assert!(
        notes[0].contains("does not reach back") && notes[1].contains("5 to 9 were left out"),
        "{notes:?}"
    );
    for seq in 0..1_000 {
        picture.hear(event(seq, 0, "task.submitted"), at(0));
    }
    assert_eq!(picture.events.len(), EVENTS_MAX);
    assert!(matches!(picture.events.front(), Some(Line::Event { seq: 999, .. })));
}

#[test]
fn the_name_of_an_agent_stands_for_its_id_and_text_of_strangers_is_safe() {
    let mut picture = connected();
    let agent: Value = json!({"id": "agent_00000000000c1", "name": "ada\u{1b}[31m", "role": "worker", "capabilities": [],
        "capacity": 2, "labels": {}, "state": "working", "link": {"kind": "worker"}, "working": 1, "completed": 0,
        "failed": 0, "success_rate": null, "last_activity_at": null, "created_at": "2026-01-31T12:00:00Z"});
    let id = agent["id"].clone();
    let answer = |data_type: &str, data: Value| {
        frame(json!({"type": "data_response", "data_type": data_type, "data": data}))
    };
    picture.hear(answer("agent_status", json!({"agents": [agent], "total": 1})), at(0));
    assert_eq!((picture.agents.len(), picture.agents_total), (1, 1), "{:?}", picture.events);
    let told = json!({"type": "agent_event", "subscription": "agents", "epoch": "e-1", "offset": 7, "data": {
        "seq": 7, "at": "2026-01-31T12:00:00Z", "kind": "agent.updated", "agent_id": id}});
    picture.hear(frame(told), at(0));
    let Some(Line::Event { about, .. }) = picture.events.front() else { panic!("{:?}", picture.events) };
    assert_eq!(picture.named(about), "ada\\u{1b}[31m");
    picture.hear(answer("agent_status", json!({"agents": 7})), at(0));
    assert!(format!("{:?}", picture.events.front()).contains("unknown form"));
}
