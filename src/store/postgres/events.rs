//! New events, all in one statement.

use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};

use crate::postgres::columns::rows;
use crate::sql::event_row::{EventColumns, LinkedEvent};

rows! {
    /// New rows of the log.
    InsertEvents<'a> {
        seq: i64 as BigInt, at: i64 as BigInt, tenant_id: i64 as BigInt, kind: &'a str as Text,
        task_id: Option<i64> as Nullable<BigInt>, agent_id: Option<i64> as Nullable<BigInt>,
        attempt: Option<i32> as Nullable<Integer>, lane_id: Option<i64> as Nullable<BigInt>,
        priority: Option<i16> as Nullable<SmallInt>, task_prior_seq: Option<i64> as Nullable<BigInt>,
        correlation_id: &'a str as Text, data: &'a str as Text,
    } =
    "INSERT INTO events (seq, at, tenant_id, kind, task_id, agent_id, attempt, lane_id, priority, task_prior_seq, \
     correlation_id, data) SELECT * FROM ", unnest, ""
}

impl<'a> InsertEvents<'a> {
    /// The rows of these events.
    pub(crate) fn of(events: &'a [LinkedEvent]) -> Self {
        let mut rows = Self::default();
        for row in events.iter().map(EventColumns::from) {
            rows.seq.push(row.seq);
            rows.at.push(row.at);
            rows.tenant_id.push(row.tenant_id);
            rows.kind.push(row.kind);
            rows.task_id.push(row.task_id);
            rows.agent_id.push(row.agent_id);
            rows.attempt.push(row.attempt);
            rows.lane_id.push(row.lane_id);
            rows.priority.push(row.priority);
            rows.task_prior_seq.push(row.task_prior_seq);
            rows.correlation_id.push(row.correlation_id);
            rows.data.push(row.data);
        }
        rows
    }
}
