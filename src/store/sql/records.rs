//! Rows joined into what is shown.

use crate::sql::conn::Conn;
use domain::{AttemptError, LaneSpec, TaskState};

use crate::record::TaskRecord;
use crate::sql::attempt_row::{self, LastEnded};
use crate::sql::failure::Failure;
use crate::sql::spec_row::Spec;
use crate::sql::task_row::{Expiry, TaskRow};

/// A stored task as it stands.
pub(crate) fn task(conn: &mut Conn, task: &TaskRow, lane: &LaneSpec) -> Result<TaskRecord, Failure> {
    let spec = Spec::load(conn, task.id).map_err(|failure| failure.of_task(task.id))?;
    // A task that was never claimed has no attempt to look for.
    let last = match task.attempt {
        0 => LastEnded::default(),
        _ => attempt_row::last_ended(conn, task.id).map_err(|failure| failure.of_task(task.id))?,
    };
    Ok(join(task, spec, lane, last))
}

/// A task from its parts.
pub(crate) fn join(task: &TaskRow, spec: Spec, lane: &LaneSpec, last: LastEnded) -> TaskRecord {
    TaskRecord {
        id: task.id,
        tenant: task.tenant,
        title: spec.title,
        kind: spec.kind,
        lane: task.lane,
        queue: lane.queue.clone(),
        requires: lane.requires.clone(),
        pinned: lane.pinned,
        priority: task.priority,
        labels: spec.labels,
        status: task.status(),
        agent: task.agent,
        eligible_at: task.eligible_at.filter(|_| task.state == TaskState::Scheduled),
        created_at: spec.created_at,
        started_at: task.started_at,
        finished_at: task.finished_at,
        lease_expires_at: task.lease_expires_at,
        error: task.expired.map(expired).or(last.error),
        usage: last.usage,
        backoff: spec.backoff,
        timeouts: spec.timeouts,
        correlation_id: spec.correlation_id,
        created_by: spec.created_by,
    }
}

fn expired(expiry: Expiry) -> AttemptError {
    let message = match expiry {
        Expiry::ScheduleToStart => "no agent claimed it in time",
        Expiry::ScheduleToClose => "it did not end in time",
    };
    AttemptError::stated(expiry.as_str(), message)
}
