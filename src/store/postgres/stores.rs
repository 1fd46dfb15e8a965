//! What a transaction writes: one statement a table, over arrays.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text};
use domain::AgentId;

use super::columns::rows;
use super::unit::Unit;
use crate::sql::columns::{count_column, micros, span_column};
use crate::sql::task_row::{Expiry, TaskRow};

/// Declares a statement over the columns of tasks that may change.
macro_rules! task_rows {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty as $sql:ty),* $(,)? } = $before:expr, unnest, $after:expr) => {
        rows! {
            $(#[$doc])*
            $name {
                id: i64 as BigInt, state: i16 as SmallInt, priority: i16 as SmallInt, attempt: i32 as Integer,
                failures: i32 as Integer, crashes: i32 as Integer, eligible_at: Option<i64> as Nullable<BigInt>,
                wait_deadline_at: Option<i64> as Nullable<BigInt>,
                close_deadline_at: Option<i64> as Nullable<BigInt>, started_at: Option<i64> as Nullable<BigInt>,
                finished_at: Option<i64> as Nullable<BigInt>, agent_id: Option<i64> as Nullable<BigInt>,
                lease_expires_at: Option<i64> as Nullable<BigInt>, lease_cap_at: Option<i64> as Nullable<BigInt>,
                lease_ttl_ms: i64 as BigInt, cancel_requested_at: Option<i64> as Nullable<BigInt>,
                expired_kind: Option<i16> as Nullable<SmallInt>, last_event_seq: i64 as BigInt,
                $($field: $ty as $sql,)*
            } = $before, unnest, $after
        }

        impl $name {
            fn push_changing(&mut self, task: &TaskRow) {
                self.id.push(task.id.raw());
                self.state.push(task.state.code());
                self.priority.push(i16::from(task.priority));
                self.attempt.push(count_column(task.attempt));
                self.failures.push(count_column(task.failures));
                self.crashes.push(count_column(task.crashes));
                self.eligible_at.push(micros(task.eligible_at));
                self.wait_deadline_at.push(micros(task.wait_deadline_at));
                self.close_deadline_at.push(micros(task.close_deadline_at));
                self.started_at.push(micros(task.started_at));
                self.finished_at.push(micros(task.finished_at));
                self.agent_id.push(task.agent.map(AgentId::raw));
                self.lease_expires_at.push(micros(task.lease_expires_at));
                self.lease_cap_at.push(micros(task.lease_cap_at));
                self.lease_ttl_ms.push(span_column(task.lease_ttl_ms));
                self.cancel_requested_at.push(micros(task.cancel_requested_at));
                self.expired_kind.push(task.expired.map(Expiry::code));
                self.last_event_seq.push(task.last_event_seq);
            }
        }
    };
}

task_rows! {
    /// New tasks. One that is there already is an error: it was looked for when the transaction began.
    InsertTasks { tenant_id: i64 as BigInt, lane_id: i64 as BigInt, attempts_max: i32 as Integer } =
    "INSERT INTO tasks (id, state, priority, attempt, failures, crashes, eligible_at, wait_deadline_at, \
     close_deadline_at, started_at, finished_at, agent_id, lease_expires_at, lease_cap_at, lease_ttl_ms, \
     cancel_requested_at, expired_kind, last_event_seq, tenant_id, lane_id, attempts_max) SELECT * FROM ", unnest, ""
}

task_rows! {
    /// Tasks that changed, each once, whatever happened to it in this transaction.
    UpdateTasks {} =
    "UPDATE tasks t SET state = r.state, priority = r.priority, attempt = r.attempt, failures = r.failures, \
     crashes = r.crashes, eligible_at = r.eligible_at, wait_deadline_at = r.wait_deadline_at, \
     close_deadline_at = r.close_deadline_at, started_at = r.started_at, finished_at = r.finished_at, \
     agent_id = r.agent_id, lease_expires_at = r.lease_expires_at, lease_cap_at = r.lease_cap_at, \
     lease_ttl_ms = r.lease_ttl_ms, cancel_requested_at = r.cancel_requested_at, expired_kind = r.expired_kind, \
     last_event_seq = r.last_event_seq FROM ", unnest,
    " AS r (id, state, priority, attempt, failures, crashes, eligible_at, wait_deadline_at, close_deadline_at, \
     started_at, finished_at, agent_id, lease_expires_at, lease_cap_at, lease_ttl_ms, cancel_requested_at, \
     expired_kind, last_event_seq) WHERE t.id = r.id"
}

rows! {
    /// What was asked for.
    InsertSpecs<'a> {
        task: i64 as BigInt, title: &'a str as Text, kind: Option<&'a str> as Nullable<Text>,
        labels: Option<&'a str> as Nullable<Text>, backoff: Option<&'a str> as Nullable<Text>,
        timeouts: Option<&'a str> as Nullable<Text>, correlation_id: &'a str as Text, created_by: &'a str as Text,
        created_at: i64 as BigInt, input: Option<&'a str> as Nullable<Text>,
    } =
    "INSERT INTO task_specs (task_id, title, kind, labels, backoff, timeouts, correlation_id, created_by, created_at, \
     input) SELECT * FROM ", unnest, ""
}

rows! {
    /// Attempts that ended.
    InsertAttempts<'a> {
        task: i64 as BigInt, attempt: i32 as Integer, agent: Option<i64> as Nullable<BigInt>,
        started_at: i64 as BigInt, ended_at: i64 as BigInt, outcome: i16 as SmallInt,
        report: Option<i16> as Nullable<SmallInt>, error_kind: Option<&'a str> as Nullable<Text>,
        error_message: Option<&'a str> as Nullable<Text>, usage: Option<&'a str> as Nullable<Text>,
        workspace: Option<&'a str> as Nullable<Text>, result: Option<&'a str> as Nullable<Text>,
    } =
    "INSERT INTO attempts (task_id, attempt, agent_id, started_at, ended_at, outcome, report, error_kind, \
     error_message, usage, workspace, result) SELECT * FROM ", unnest, ""
}

rows! {
    /// Idempotency keys, new or in place of those whose time is over.
    StoreKeys<'a> {
        tenant: i64 as BigInt, hash: &'a [u8] as Binary, kind: i16 as SmallInt, subject: i64 as BigInt,
        fingerprint: &'a [u8] as Binary, expires_at: i64 as BigInt,
    } =
    "INSERT INTO task_keys (tenant_id, hash, kind, subject_id, fingerprint, expires_at) SELECT * FROM ", unnest,
    " ON CONFLICT (tenant_id, hash, kind) DO UPDATE SET subject_id = excluded.subject_id, \
     fingerprint = excluded.fingerprint, expires_at = excluded.expires_at"
}

rows! {
    /// Unique keys that tasks took.
    InsertUniques<'a> {
        tenant: i64 as BigInt, key: &'a str as Text, since_seq: i64 as BigInt, task: i64 as BigInt,
        expires_at: Option<i64> as Nullable<BigInt>,
    } =
    "INSERT INTO unique_keys (tenant_id, key, since_seq, task_id, expires_at) SELECT * FROM ", unnest, ""
}

impl InsertTasks {
    /// The new tasks of a transaction.
    pub(super) fn of(unit: &Unit) -> Self {
        let mut rows = Self::default();
        for task in unit.new_tasks() {
            rows.push_changing(task);
            rows.tenant_id.push(task.tenant.0);
            rows.lane_id.push(task.lane.0);
            rows.attempts_max.push(count_column(task.attempts_max));
        }
        rows
    }
}

impl UpdateTasks {
    /// The changed tasks of a transaction.
    pub(super) fn of(unit: &Unit) -> Self {
        let mut rows = Self::default();
        unit.changed_tasks().for_each(|task| rows.push_changing(task));
        rows
    }
}

impl<'a> InsertSpecs<'a> {
    /// What the new tasks of a transaction ask for.
    pub(super) fn of(unit: &'a Unit) -> Self {
        let mut rows = Self::default();
        for spec in &unit.new_specs {
            rows.task.push(spec.task);
            rows.title.push(&spec.title);
            rows.kind.push(spec.kind.as_deref());
            rows.labels.push(spec.labels.as_deref());
            rows.backoff.push(spec.backoff.as_deref());
            rows.timeouts.push(spec.timeouts.as_deref());
            rows.correlation_id.push(&spec.correlation_id);
            rows.created_by.push(&spec.created_by);
            rows.created_at.push(spec.created_at);
            rows.input.push(spec.input.as_deref());
        }
        rows
    }
}

impl<'a> InsertAttempts<'a> {
    /// The attempts that ended in a transaction.
    pub(super) fn of(unit: &'a Unit) -> Self {
        let mut rows = Self::default();
        for row in unit.new_attempts.values() {
            rows.task.push(row.task);
            rows.attempt.push(row.attempt);
            rows.agent.push(row.agent);
            rows.started_at.push(row.started_at);
            rows.ended_at.push(row.ended_at);
            rows.outcome.push(row.outcome);
            rows.report.push(row.report);
            rows.error_kind.push(row.error_kind.as_deref());
            rows.error_message.push(row.error_message.as_deref());
            rows.usage.push(row.usage.as_deref());
            rows.workspace.push(row.workspace.as_deref());
            rows.result.push(row.result.as_deref());
        }
        rows
    }
}

impl<'a> StoreKeys<'a> {
    /// The keys that a transaction writes.
    pub(super) fn of(unit: &'a Unit) -> Self {
        let mut rows = Self::default();
        for ((tenant, hash, kind), row) in unit.changed_keys() {
            rows.tenant.push(*tenant);
            rows.hash.push(hash);
            rows.kind.push(*kind);
            rows.subject.push(row.subject);
            rows.fingerprint.push(&row.fingerprint);
            rows.expires_at.push(row.expires_at);
        }
        rows
    }
}

impl<'a> InsertUniques<'a> {
    /// The unique keys that tasks of a transaction took.
    pub(super) fn of(unit: &'a Unit) -> Self {
        let mut rows = Self::default();
        for row in &unit.new_uniques {
            rows.tenant.push(row.tenant);
            rows.key.push(&row.key);
            rows.since_seq.push(row.since_seq);
            rows.task.push(row.task);
            rows.expires_at.push(row.expires_at);
        }
        rows
    }
}
