//! Puts a dead letter back.

use std::sync::Arc;

use domain::{EventKind, Happening, Move, Next, Refused, TaskStatus, transition};

use super::unique::{self, Way};
use crate::command::RedriveTask;
use crate::outcome::Redriven;
use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::moves;
use crate::sql::spec_row::Spec;
use crate::sql::task_row::TaskRow;

pub(super) fn apply(batch: &mut Batch<'_>, command: &RedriveTask) -> Result<Redriven, Failure> {
    let Some(mut task) = super::task_of(batch, command.tenant, command.task)? else {
        return Ok(Redriven::NotFound);
    };
    match transition(task.status(), Happening::Redriven) {
        Ok(Next::Moved { status, .. }) => {
            let key = match unique::way_back(batch, task.tenant, task.id)? {
                Way::Taken(holder) => return Ok(Redriven::UniqueConflict(holder)),
                Way::Retake(key) => Some(key),
                Way::Free => None,
            };
            put_back(batch, &mut task, status, command)?;
            if let Some(key) = key {
                unique::retake(batch, (task.tenant, task.id), &key, task.last_event_seq)?;
            }
            Ok(Redriven::Done(super::record(batch, &task)?))
        }
        Err(Refused::State(state)) => Ok(Redriven::Conflict(state)),
        Ok(Next::Unchanged | Next::CancelNoted(_)) | Err(Refused::StaleAttempt) => {
            Err(Failure::corrupt(task.id.to_string(), "a redrive leaves it as it is"))
        }
    }
}

fn put_back(
    batch: &mut Batch<'_>,
    task: &mut TaskRow,
    status: TaskStatus,
    command: &RedriveTask,
) -> Result<(), Failure> {
    let (from, now) = (task.state, batch.now);
    let spec = Spec::load(batch.conn, task.id)?;
    task.take(status, now);
    task.expired = None;
    task.close_deadline_at = spec.timeouts.close_deadline(now);
    task.eligible_at = Some(now);
    moves::wait_again(task, &spec.timeouts, now);
    let telling = Telling {
        kind: EventKind::TaskRedriven,
        moved: Some(Move { from: Some(from), to: task.state, priority_from: None }),
        correlation_id: Arc::clone(&command.correlation_id),
        data: Data::new(),
    };
    batch.tell_task(task, telling)?;
    task.store(batch.conn)
}
