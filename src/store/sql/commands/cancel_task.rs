//! Cancels a waiting task, asks the holder of a working one, or takes it from its holder.

use std::sync::Arc;

use domain::{EventKind, Happening, Move, Next, Refused, TaskState, TaskStatus, timeouts, transition};

use crate::command::CancelTask;
use crate::outcome::Canceled;
use crate::sql::attempt_row::Ending;
use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::moves::{self, End};
use crate::sql::task_row::TaskRow;

pub(super) fn apply(batch: &mut Batch<'_>, command: &CancelTask) -> Result<Canceled, Failure> {
    let Some(mut task) = super::task_of(batch, command.tenant, command.task)? else {
        return Ok(Canceled::NotFound);
    };
    match transition(task.status(), Happening::CancelRequested { force: command.force }) {
        Ok(Next::Unchanged) => {}
        Ok(Next::CancelNoted(status)) => note(batch, &mut task, status, command)?,
        Ok(Next::Moved { status, outcome: None, .. }) => leave_queue(batch, &mut task, status, command)?,
        Ok(Next::Moved { status, outcome: Some(outcome), .. }) => {
            let end = End {
                status,
                outcome,
                ending: Ending::stated("killed", "it was taken from its holder by force"),
                chance: 0.0,
                correlation_id: Arc::clone(&command.correlation_id),
            };
            moves::end(batch, &mut task, end)?;
        }
        Err(Refused::State(state)) => return Ok(Canceled::Conflict(state)),
        Err(Refused::StaleAttempt) => {
            return Err(Failure::corrupt(task.id.to_string(), "a cancel names no attempt"));
        }
    }
    Ok(Canceled::Done(super::record(batch, &task)?))
}

/// The holder is told and has the grace to end; then the reaper ends the attempt.
fn note(
    batch: &mut Batch<'_>,
    task: &mut TaskRow,
    status: TaskStatus,
    command: &CancelTask,
) -> Result<(), Failure> {
    task.take(status, batch.now);
    let grace_ends = Some(batch.now.plus_ms(command.grace_ms));
    task.lease_cap_at = timeouts::earliest(task.lease_cap_at, grace_ends);
    task.lease_expires_at = timeouts::earliest(task.lease_expires_at, task.lease_cap_at);
    tell(batch, task, EventKind::TaskCancelRequested, None, command)
}

fn leave_queue(
    batch: &mut Batch<'_>,
    task: &mut TaskRow,
    status: TaskStatus,
    command: &CancelTask,
) -> Result<(), Failure> {
    let from = task.state;
    task.take(status, batch.now);
    tell(batch, task, EventKind::TaskCanceled, Some(from), command)
}

fn tell(
    batch: &mut Batch<'_>,
    task: &mut TaskRow,
    kind: EventKind,
    from: Option<TaskState>,
    command: &CancelTask,
) -> Result<(), Failure> {
    let moved = from.map(|from| Move { from: Some(from), to: task.state, priority_from: None });
    let correlation_id = Arc::clone(&command.correlation_id);
    batch.tell_task(task, Telling { kind, moved, correlation_id, data: Data::new() })?;
    task.store(batch.conn)
}
