//! One bounded round of a janitor. Safe to run twice: each row is decided by what it is now.

pub(crate) mod end_crashed;
pub(crate) mod expire_waiting;
pub(crate) mod reap_leases;
pub(crate) mod retire_events;
pub(crate) mod retire_keys;
pub(crate) mod retire_tasks;
pub(crate) mod stage_due;

use crate::command::{Chore, Sweep};
use crate::outcome::Swept;
use crate::sql::batch::Batch;
use crate::sql::due;
use crate::sql::failure::Failure;

pub(super) fn apply(batch: &mut Batch<'_>, command: &Sweep) -> Result<Swept, Failure> {
    let count = match command.chore {
        Chore::StageDue => stage_due::apply(batch, command.limit)?,
        Chore::ReapLeases => reap_leases::apply(batch, command.limit, command.chance)?,
        Chore::EndCrashed => end_crashed::apply(batch, command.limit)?,
        Chore::ExpireWaiting => expire_waiting::apply(batch, command.limit)?,
        Chore::RetireTasks(before) => retire_tasks::apply(batch, before, command.limit)?,
        Chore::RetireEvents(before) => retire_events::apply(batch, before, command.limit)?,
        Chore::RetireKeys => retire_keys::apply(batch, command.limit)?,
    };
    let next_at = due::next_due(batch.conn, command.chore, batch.now)?;
    Ok(Swept { count, next_at })
}
