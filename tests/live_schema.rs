//! The types of frames against their published schema: what the one can say, the other allows, and nothing more.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use domain::Timestamp;
use protocol::live::SCHEMA as TEXT;
use protocol::live::frame::{AlertView, Alerts, Body, ConnectionFacts, ErrorCode, Frame, Told, Update};
use protocol::live::limits::Ending;
use protocol::live::totals::{
    AgentTotals, CoordinationTotals, HealthCounts, Snapshot, SystemTotals, TaskTotals, Trend,
};
use serde_json::{Value, json};
use tests::watcher::{SCHEMA, check};

const AT: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);

fn totals() -> (AgentTotals, CoordinationTotals, TaskTotals, SystemTotals) {
    let healthy = || "healthy".to_owned();
    (
        AgentTotals {
            active_count: 2,
            health_summary: HealthCounts { healthy: 2, degraded: 1 },
            last_updated: AT,
        },
        CoordinationTotals {
            success_rate: Some(0.5),
            total_tasks: 4,
            trend: Trend::Improving,
            last_updated: AT,
        },
        TaskTotals { queue_length: 1, in_progress: 2, failed_recent: 3, last_updated: AT },
        SystemTotals {
            overall_health: healthy(),
            database_status: healthy(),
            redis_status: "not_configured".into(),
            last_updated: AT,
        },
    )
}

fn update<T>(subscription: &str, data: T) -> Update<T> {
    Update { subscription: subscription.into(), data, epoch: "e".into(), offset: 7 }
}

fn told(subscription: &str) -> Told {
    let data = json!({
        "seq": 7, "at": "2026-01-31T12:00:00.000000Z", "kind": "task.submitted", "task_id": "task_0000000000001",
        "agent_id": null, "attempt": null, "queue": "default", "correlation_id": "c", "data": {},
    });
    Told { subscription: subscription.into(), data, epoch: "e".into(), offset: 7 }
}

/// The sample behind one; a new type of frame does not compile until it has one.
fn after(body: Option<&Body>) -> Option<Body> {
    let (agents, coordination, tasks, system) = totals();
    Some(match body {
        None => Body::ConnectionEstablished {
            connection_id: "ws_1".into(),
            subscriptions: vec!["tasks".into(), "tasks/queue/a".into()],
            server_time: AT,
            contract_version: protocol::live::CONTRACT_VERSION.into(),
            epoch: "e".into(),
            offset: 0,
        },
        Some(Body::ConnectionEstablished { .. }) => Body::DashboardInitialized {
            subscriptions: vec!["tasks".into()],
            connection_info: ConnectionFacts {
                connection_id: "ws_1".into(),
                endpoint: "tasks".into(),
                principal: "admin".into(),
                role: "admin".into(),
            },
            snapshot: Box::new(Snapshot {
                agents: Some(agents),
                coordination: Some(coordination),
                tasks: Some(tasks),
                system: Some(system),
            }),
            epoch: "e".into(),
            offset: 7,
        },
        Some(Body::DashboardInitialized { .. }) => Body::SubscriptionUpdated { subscriptions: vec![] },
        Some(Body::SubscriptionUpdated { .. }) => Body::AgentUpdate(update("agents", agents)),
        Some(Body::AgentUpdate(_)) => Body::CoordinationUpdate(update("coordination", coordination)),
        Some(Body::CoordinationUpdate(_)) => Body::TaskUpdate(update("tasks", tasks)),
        Some(Body::TaskUpdate(_)) => Body::SystemUpdate(update("system", system)),
        Some(Body::SystemUpdate(_)) => Body::AgentEvent(told("agents")),
        Some(Body::AgentEvent(_)) => Body::TaskEvent(told("tasks")),
        Some(Body::TaskEvent(_)) => Body::CoordinationEvent(told("coordination")),
        Some(Body::CoordinationEvent(_)) => Body::SystemEvent(told("system")),
        Some(Body::SystemEvent(_)) => Body::ProjectIndexEvent(told("project_index")),
        Some(Body::ProjectIndexEvent(_)) => Body::CriticalAlert {
            subscription: "alerts".into(),
            data: Alerts {
                alerts: vec![AlertView {
                    level: "critical".into(),
                    message: "m".into(),
                    action: Some("a".into()),
                }],
            },
        },
        Some(Body::CriticalAlert { .. }) => Body::OperatorMessage {
            subscription: "tasks".into(),
            message_type: "maintenance".into(),
            data: json!({}),
        },
        Some(Body::OperatorMessage { .. }) => {
            Body::DataResponse { data_type: "task_list".into(), data: json!({}) }
        }
        Some(Body::DataResponse { .. }) => Body::DataError { data_type: "x".into(), error: "e".into() },
        Some(Body::DataError { .. }) => Body::Resumed { recovered: true, from: 1, to: 2 },
        Some(Body::Resumed { .. }) => Body::EventsSkipped { from: 1, to: 2 },
        Some(Body::EventsSkipped { .. }) => Body::Pong {},
        Some(Body::Pong {}) => Body::error(ErrorCode::InvalidJson, "m"),
        Some(Body::Error { .. }) => Body::DisconnectNotice { reason: "idle".into() },
        Some(Body::DisconnectNotice { .. }) => return None,
    })
}

fn samples() -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    let mut last = None;
    while let Some(body) = after(last.as_ref()) {
        let frame = Frame { body: body.clone(), timestamp: AT, correlation_id: "c".into() };
        found.push((body.kind(), serde_json::to_value(&frame).unwrap()));
        last = Some(body);
    }
    found
}

fn definitions() -> Value {
    serde_json::from_str::<Value>(TEXT).unwrap()["$defs"].take()
}

#[test]
fn every_type_of_frame_is_in_the_schema_and_the_schema_has_no_other() {
    let definitions = definitions();
    let listed = definitions["server_frame"]["oneOf"].as_array().unwrap().iter();
    let listed: BTreeSet<&str> =
        listed.map(|item| item["$ref"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    let said: BTreeSet<&str> = samples().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(listed, said);
    assert_eq!(Body::KINDS.into_iter().collect::<BTreeSet<_>>(), said);
}

#[test]
fn what_the_types_write_is_valid_and_is_read_back_as_it_was() -> Result<()> {
    for (kind, frame) in samples() {
        check(&frame).context(kind)?;
        ensure!(frame["type"] == kind, "{frame}");
        let read: Frame = serde_json::from_value(frame.clone())?;
        ensure!(serde_json::to_value(&read)? == frame, "{kind}");
    }
    Ok(())
}

/// Every object in a frame that the schema describes, as the pointers to it.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().for_each(|(name, value)| objects(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| objects(item, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// Places where anything may stand, and fields that may be missing.
fn is_free(kind: &str, at: &str) -> bool {
    (["data_response", "operator_message"].contains(&kind) && at == "/data") || at == "/data/data"
}

fn may_miss(at: &str, field: &str) -> bool {
    at == "/snapshot" || (field == "action" && at.starts_with("/data/alerts/"))
}

#[test]
fn a_field_that_is_missing_unknown_or_of_another_kind_is_refused() {
    let mut tried = 0;
    for (kind, frame) in samples() {
        let mut places = Vec::new();
        objects(&frame, "", &mut places);
        for at in places.iter().filter(|at| !is_free(kind, at)) {
            let fields: Vec<String> =
                frame.pointer(at).unwrap().as_object().unwrap().keys().cloned().collect();
            let change = |edit: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                let mut changed = frame.clone();
                edit(changed.pointer_mut(at).unwrap().as_object_mut().unwrap());
                SCHEMA.is_valid(&changed)
            };
            assert!(!change(&|object| drop(object.insert("extra".into(), json!(1)))), "{kind}{at}/extra");
            for field in fields {
                let was_removed = change(&|object| drop(object.remove(&field)));
                assert_eq!(was_removed, may_miss(at, &field), "{kind}{at}/{field} is missing");
                let place = format!("{at}/{field}");
                let is_anything = is_free(kind, &place) && place != "/data/data";
                let was_changed = change(&|object| drop(object.insert(field.clone(), json!([["no"]]))));
                // An array of arrays is nowhere allowed, but where anything is.
                assert_eq!(was_changed, is_anything, "{kind}{at}/{field} is an array");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn the_words_of_codes_and_reasons_are_those_of_the_schema() {
    let definitions = definitions();
    let words = |pointer: &str| -> BTreeSet<String> {
        let list = definitions.pointer(pointer).unwrap().as_array().unwrap();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let reasons = Ending::WATCHING.map(|ending| ending.reason().to_owned());
    assert_eq!(words("/disconnect_notice/properties/reason/enum"), BTreeSet::from(reasons));
    let codes = [
        ErrorCode::MessageTooLarge,
        ErrorCode::RateLimited,
        ErrorCode::TooManySubscriptions,
        ErrorCode::InvalidSubscription,
        ErrorCode::ForbiddenSubscription,
        ErrorCode::UnknownMessageType,
        ErrorCode::InvalidJson,
    ];
    let codes = codes.map(|code| serde_json::to_value(code).unwrap().as_str().unwrap().to_owned());
    assert_eq!(words("/error/properties/code/enum"), BTreeSet::from(codes));
}
