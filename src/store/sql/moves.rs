//! What commands and janitors have in common: beginning and ending an attempt, once it is decided.

use std::sync::Arc;

use domain::{
    AgentId, EventKind, Happening, LaneSpec, Move, Next, Outcome, TaskState, TaskStatus, Timeouts, Timestamp,
    timeouts, transition,
};

use crate::outcome::ClaimedTask;
use crate::sql::attempt_row::{self, Ending};
use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::spec_row::Spec;
use crate::sql::task_row::TaskRow;

/// How an attempt begins.
pub(crate) struct Start<'a> {
    /// Who takes it.
    pub agent: AgentId,
    /// How long things may take.
    pub timeouts: &'a Timeouts,
    /// Lease of a task that names no heartbeat timeout, in milliseconds.
    pub lease_ttl_ms: u64,
    /// The request that submitted the task.
    pub correlation_id: &'a Arc<str>,
}

/// Begins an attempt of a queued task; `false` when it is not queued. The row has to be written afterwards.
pub(crate) fn begin(batch: &mut Batch<'_>, task: &mut TaskRow, start: &Start<'_>) -> Result<bool, Failure> {
    let Ok(Next::Moved { status, .. }) = transition(task.status(), Happening::Claimed) else {
        return Ok(false);
    };
    let from = task.state;
    let now = batch.now;
    task.take(status, now);
    task.agent = Some(start.agent);
    task.started_at = Some(now);
    task.lease_ttl_ms = start.timeouts.lease_ttl_ms(start.lease_ttl_ms);
    task.lease_cap_at = start.timeouts.attempt_deadline(now, task.close_deadline_at);
    task.lease_expires_at = timeouts::earliest(Some(now.plus_ms(task.lease_ttl_ms)), task.lease_cap_at);
    let telling = Telling {
        kind: EventKind::TaskStarted,
        moved: Some(Move { from: Some(from), to: status.state, priority_from: None }),
        correlation_id: Arc::clone(start.correlation_id),
        data: Data::new().word("agent", start.agent),
    };
    batch.tell_task(task, telling)?;
    Ok(true)
}

/// An attempt as it is handed to its agent.
pub(crate) fn claimed(
    task: &TaskRow,
    spec: Spec,
    lane: &LaneSpec,
    input: Option<Arc<str>>,
) -> Result<ClaimedTask, Failure> {
    let corrupt = || Failure::corrupt(task.id.to_string(), "it works without a holder, a start or a lease");
    Ok(ClaimedTask {
        task: task.id,
        attempt: task.attempt,
        agent: task.agent.ok_or_else(corrupt)?,
        title: spec.title,
        kind: spec.kind,
        queue: lane.queue.clone(),
        priority: task.priority,
        input,
        labels: spec.labels,
        lease_ttl_ms: task.lease_ttl_ms,
        lease_expires_at: task.lease_expires_at.ok_or_else(corrupt)?,
        ready_at: task.eligible_at.unwrap_or(spec.created_at),
        started_at: task.started_at.ok_or_else(corrupt)?,
        timeouts: spec.timeouts,
        correlation_id: spec.correlation_id,
    })
}

/// How an attempt ends.
pub(crate) struct End<'a> {
    /// How the task stands afterwards.
    pub status: TaskStatus,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// What else is known of it.
    pub ending: Ending<'a>,
    /// A random number from 0 to 1 for the jitter of a backoff.
    pub chance: f64,
    /// The request that ended it.
    pub correlation_id: Arc<str>,
}

/// Ends the present attempt as decided: its row, the task's row and the event.
pub(crate) fn end(batch: &mut Batch<'_>, task: &mut TaskRow, end: End<'_>) -> Result<(), Failure> {
    let (now, before) = (batch.now, task.clone());
    attempt_row::insert(batch.conn, task, end.outcome, &end.ending, now)?;
    let from = task.state;
    task.take(end.status, now);
    let mut data = Data::new();
    if end.outcome != Outcome::Succeeded {
        data = data.word("outcome", end.outcome.as_str());
        if let Some(error) = &end.ending.error {
            data = data.text("error_kind", &error.kind);
        }
    }
    let kind = match task.state {
        TaskState::Scheduled => {
            let eligible_at = back_off(batch, task, end.chance)?;
            data = data.value("eligible_at_us", eligible_at.as_micros());
            EventKind::TaskRetrying
        }
        TaskState::Queued => {
            let spec = Spec::load(batch.conn, task.id)?;
            task.eligible_at = Some(now);
            wait_again(task, &spec.timeouts, now);
            EventKind::TaskReleased
        }
        TaskState::Completed => EventKind::TaskCompleted,
        TaskState::Failed => EventKind::TaskFailed,
        TaskState::Canceled => EventKind::TaskCanceled,
        TaskState::Working => {
            return Err(Failure::corrupt(task.id.to_string(), "an ended attempt leaves it working"));
        }
    };
    let moved = Some(Move { from: Some(from), to: task.state, priority_from: None });
    batch.tell_task(task, Telling { kind, moved, correlation_id: end.correlation_id, data })?;
    task.store_since(batch.conn, &before)
}

/// A task beyond its close deadline is not tried again: what would wait after a timeout expires at once.
pub(crate) fn beyond_its_deadline(task: &TaskRow, status: TaskStatus, now: Timestamp) -> TaskStatus {
    let is_over = task.close_deadline_at.is_some_and(|deadline| deadline <= now);
    if !is_over || status.state != TaskState::Scheduled {
        return status;
    }
    match transition(status, Happening::Expired) {
        Ok(Next::Moved { status, .. }) => status,
        Ok(Next::Unchanged | Next::CancelNoted(_)) | Err(_) => status,
    }
}

/// Sets when a task that failed may be claimed again.
fn back_off(batch: &mut Batch<'_>, task: &mut TaskRow, chance: f64) -> Result<Timestamp, Failure> {
    let spec = Spec::load(batch.conn, task.id)?;
    let eligible_at = batch.now.plus_ms(spec.backoff.wait_ms(task.failures, chance));
    task.eligible_at = Some(eligible_at);
    wait_again(task, &spec.timeouts, eligible_at);
    Ok(eligible_at)
}

/// Sets when a task expires that becomes ready at `eligible_at`.
pub(crate) fn wait_again(task: &mut TaskRow, timeouts: &Timeouts, eligible_at: Timestamp) {
    task.wait_deadline_at = timeouts.wait_deadline(eligible_at, task.close_deadline_at);
}
