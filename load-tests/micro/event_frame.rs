//! An event becomes the frame that all sessions share: what the feed calls once for each event while somebody follows.

use std::hint::black_box;

use anyhow::{Result, ensure};
use domain::{AgentId, Event, EventKind, LaneId, Move, Name, TaskId, TaskState, TenantId, Timestamp};

use crate::Round;

/// 2026-06-01T00:00:00Z.
const BEGIN_MICROS: i64 = 1_780_272_000_000_000;

pub fn prepare() -> Result<Round> {
    let events = events();
    let queue: Name = "reports".parse()?;
    let encode = api::encoder("0123456789abcdef");
    Ok(Box::new(move || {
        for event in &events {
            let encoded = encode(black_box(event), Some(&queue));
            ensure!(encoded.frame.len() > event.data.len(), "event {} was not encoded", event.seq);
        }
        Ok(())
    }))
}

/// What is told of tasks that end well and of one that does not, with the `data` that the store makes.
fn events() -> Vec<Event> {
    let lives = [
        (
            EventKind::TaskSubmitted,
            None,
            TaskState::Queued,
            r#"{"to":"queued","queue":"reports","priority":5}"#,
        ),
        (
            EventKind::TaskStarted,
            Some(TaskState::Queued),
            TaskState::Working,
            r#"{"from":"queued","to":"working","agent":"agent_1g7zq80b3c0r0"}"#,
        ),
        (
            EventKind::TaskCompleted,
            Some(TaskState::Working),
            TaskState::Completed,
            r#"{"from":"working","to":"completed"}"#,
        ),
        (
            EventKind::TaskRetrying,
            Some(TaskState::Working),
            TaskState::Scheduled,
            r#"{"from":"working","to":"scheduled","outcome":"failed","error_kind":"rate_limited","eligible_at_us":1780272001043000}"#,
        ),
    ];
    let event = |(seq, (kind, from, to, text)): (i64, (_, Option<TaskState>, _, &str))| Event {
        seq,
        at: Timestamp::from_micros(BEGIN_MICROS + seq * 1_357),
        tenant: TenantId::DEFAULT,
        kind,
        task: Some(TaskId::from_raw(54_321_000_000_000_000 + seq)),
        agent: from.map(|_| AgentId::from_raw(54_320_000_000_000_000)),
        attempt: from.map(|_| 1),
        lane: Some(LaneId(7)),
        priority: Some(5),
        correlation_id: "req-5cq2k9d1x7f3m".into(),
        moved: Some(Move { from, to, priority_from: None }),
        data: text.into(),
    };
    (1..=100).zip(lives.into_iter().cycle()).map(event).collect()
}
