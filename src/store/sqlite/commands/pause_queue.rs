//! Pauses or resumes a queue.

use std::sync::Arc;

use diesel::prelude::*;
use domain::EventKind;

use crate::command::PauseQueue;
use crate::outcome::QueueChanged;
use crate::sqlite::batch::{Batch, Fact};
use crate::sqlite::data::Data;
use crate::sqlite::failure::Failure;
use crate::sqlite::schema::queues;

pub(super) fn apply(batch: &mut Batch<'_>, command: &PauseQueue) -> Result<QueueChanged, Failure> {
    let is_paused = command.is_paused;
    let was_paused = queues::table
        .find((command.tenant.0, command.queue.as_str()))
        .select(queues::is_paused)
        .first::<bool>(batch.conn)
        .optional()?
        .unwrap_or(false);
    if was_paused != is_paused {
        diesel::insert_into(queues::table)
            .values((
                queues::tenant_id.eq(command.tenant.0),
                queues::name.eq(command.queue.as_str()),
                queues::is_paused.eq(is_paused),
            ))
            .on_conflict((queues::tenant_id, queues::name))
            .do_update()
            .set(queues::is_paused.eq(is_paused))
            .execute(batch.conn)?;
        let kind = if is_paused { EventKind::QueuePaused } else { EventKind::QueueResumed };
        let data = Data::new().word("queue", &command.queue).finish(None);
        let correlation_id = Arc::clone(&command.correlation_id);
        batch.tell(Fact { kind, tenant: command.tenant, agent: None, correlation_id, data })?;
    }
    Ok(QueueChanged { is_paused })
}
