//! Changes priority or labels of a task that is not terminal.

use std::sync::Arc;

use domain::{EventKind, Move};

use crate::command::PatchTask;
use crate::outcome::Patched;
use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::spec_row::Spec;

pub(super) fn apply(batch: &mut Batch<'_>, command: &PatchTask) -> Result<Patched, Failure> {
    let Some(mut task) = super::task_of(batch, command.tenant, command.task)? else {
        return Ok(Patched::NotFound);
    };
    if task.state.is_terminal() {
        return Ok(Patched::Conflict(task.state));
    }
    let priority = command.priority.filter(|priority| *priority != task.priority);
    let labels = match &command.labels {
        Some(labels) if Spec::load(batch.conn, task.id)?.labels != *labels => Some(labels),
        Some(_) | None => None,
    };
    if priority.is_some() || labels.is_some() {
        let mut data = Data::new();
        let mut moved = None;
        if let Some(priority) = priority {
            data = data.value("priority_to", priority);
            moved = Some(Move { from: Some(task.state), to: task.state, priority_from: Some(task.priority) });
            task.priority = priority;
        }
        if let Some(labels) = labels {
            data = data.value("labels_changed", true);
            Spec::store_labels(batch.conn, task.id, labels)?;
        }
        let correlation_id = Arc::clone(&command.correlation_id);
        let telling = Telling { kind: EventKind::TaskUpdated, moved, correlation_id, data };
        batch.tell_task(&mut task, telling)?;
        task.store(batch.conn)?;
    }
    Ok(Patched::Done(super::record(batch, &task)?))
}
