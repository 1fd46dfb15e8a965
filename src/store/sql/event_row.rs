//! The log: inserting events in bulk and reading them back.

use std::sync::Arc;

use crate::sql::conn::Conn;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};
use domain::{AgentId, Event, EventKind, LaneId, Move, TaskId, TaskState, TenantId, Timestamp};
use serde::Deserialize;

use crate::sql::columns::{count, count_column};
use crate::sql::failure::Failure;
use crate::sql::rows::{self, row};
use crate::sql::statement::statement;

/// The columns of [`RawEvent`], in order.
macro_rules! event_columns {
    () => {
        "e.seq, e.at, e.tenant_id, e.kind, e.task_id, e.agent_id, e.attempt, e.lane_id, e.priority, \
         e.task_prior_seq, e.correlation_id, e.data"
    };
}

/// The SQL types of [`event_columns`].
type EventSql = (
    BigInt,
    BigInt,
    BigInt,
    Text,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Integer>,
    Nullable<BigInt>,
    Nullable<SmallInt>,
    Nullable<BigInt>,
    Text,
    Text,
);

/// An event and the one of the same task before it.
#[derive(Debug, Clone)]
pub(crate) struct LinkedEvent {
    /// The event.
    pub event: Event,
    /// The `seq` of the event of the same task before this one; 0 for its first.
    pub task_prior_seq: Option<i64>,
}

/// The row as it is stored.
#[derive(Debug, Queryable)]
pub(crate) struct RawEvent {
    seq: i64,
    at: i64,
    tenant_id: i64,
    kind: String,
    task_id: Option<i64>,
    agent_id: Option<i64>,
    attempt: Option<i32>,
    lane_id: Option<i64>,
    priority: Option<i16>,
    task_prior_seq: Option<i64>,
    correlation_id: String,
    data: String,
}

/// The part of `data` that says how the event moves its task.
#[derive(Deserialize)]
struct Moved {
    from: Option<TaskState>,
    to: Option<TaskState>,
    priority_from: Option<u8>,
}

impl TryFrom<RawEvent> for LinkedEvent {
    type Error = Failure;

    fn try_from(raw: RawEvent) -> Result<Self, Failure> {
        let corrupt = |why: String| Failure::corrupt(format!("event {}", raw.seq), why);
        let moved: Moved =
            serde_json::from_str(&raw.data).map_err(|error| corrupt(format!("data: {error}")))?;
        let event = Event {
            seq: raw.seq,
            at: Timestamp::from_micros(raw.at),
            tenant: TenantId(raw.tenant_id),
            kind: EventKind::from_word(&raw.kind).ok_or_else(|| corrupt(format!("kind {}", raw.kind)))?,
            task: raw.task_id.map(TaskId::from_raw),
            agent: raw.agent_id.map(AgentId::from_raw),
            attempt: raw.attempt.map(count),
            lane: raw.lane_id.map(LaneId),
            priority: raw.priority.and_then(|priority| u8::try_from(priority).ok()),
            correlation_id: raw.correlation_id.into(),
            moved: moved.to.filter(|_| raw.task_id.is_some()).map(|to| Move {
                from: moved.from,
                to,
                priority_from: moved.priority_from,
            }),
            data: Arc::from(raw.data),
        };
        Ok(Self { event, task_prior_seq: raw.task_prior_seq })
    }
}

/// Writes events in order.
pub(crate) fn insert(conn: &mut Conn, events: &[LinkedEvent]) -> Result<(), Failure> {
    match conn {
        Conn::Sqlite(session) => {
            let rows: Vec<EventColumns<'_>> = events.iter().map(EventColumns::from).collect();
            Ok(rows::insert(session.aside(), &rows)?)
        }
        Conn::Postgres(session) => Ok(session.insert_events(events)?),
    }
}

/// An event as its columns hold it.
pub(crate) struct EventColumns<'a> {
    pub seq: i64,
    pub at: i64,
    pub tenant_id: i64,
    pub kind: &'a str,
    pub task_id: Option<i64>,
    pub agent_id: Option<i64>,
    pub attempt: Option<i32>,
    pub lane_id: Option<i64>,
    pub priority: Option<i16>,
    pub task_prior_seq: Option<i64>,
    pub correlation_id: &'a str,
    pub data: &'a str,
}

impl<'a> From<&'a LinkedEvent> for EventColumns<'a> {
    fn from(LinkedEvent { event, task_prior_seq }: &'a LinkedEvent) -> Self {
        Self {
            seq: event.seq,
            at: event.at.as_micros(),
            tenant_id: event.tenant.0,
            kind: event.kind.as_str(),
            task_id: event.task.map(TaskId::raw),
            agent_id: event.agent.map(AgentId::raw),
            attempt: event.attempt.map(count_column),
            lane_id: event.lane.map(|lane| lane.0),
            priority: event.priority.map(i16::from),
            task_prior_seq: *task_prior_seq,
            correlation_id: &event.correlation_id,
            data: &event.data,
        }
    }
}

row!(
    EventColumns<'a>,
    "INSERT INTO events (seq, at, tenant_id, kind, task_id, agent_id, attempt, lane_id, priority, task_prior_seq, \
     correlation_id, data) VALUES ",
    [
        seq,
        at,
        tenant_id,
        kind,
        task_id,
        agent_id,
        attempt,
        lane_id,
        priority,
        task_prior_seq,
        correlation_id,
        data,
    ],
    ""
);

statement! {
    /// Events after one, in order.
    EventsAfter { after: i64, limit: i64 } -> EventSql =
    concat!("SELECT ", event_columns!(), " FROM events e WHERE e.seq > "); after,
    " ORDER BY e.seq LIMIT "; limit
}

statement! {
    /// Events of one tenant after one, in order.
    TenantEventsAfter { tenant: i64, after: i64, limit: i64 } -> EventSql =
    concat!("SELECT ", event_columns!(), " FROM events e WHERE e.tenant_id = "); tenant, " AND e.seq > "; after,
    " ORDER BY e.seq LIMIT "; limit
}

statement! {
    /// One event.
    EventAt { seq: i64 } -> EventSql =
    concat!("SELECT ", event_columns!(), " FROM events e WHERE e.seq = "); seq
}
