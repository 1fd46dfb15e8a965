//! Pauses or resumes a queue.

use std::sync::Arc;

use diesel::prelude::*;
use domain::EventKind;

use crate::command::PauseQueue;
use crate::outcome::QueueChanged;
use crate::sql::batch::{Batch, Fact};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::schema::queues;

pub(super) fn apply(batch: &mut Batch<'_>, command: &PauseQueue) -> Result<QueueChanged, Failure> {
    let is_paused = command.is_paused;
    let was_paused = batch
        .conn
        .get_result::<bool, _>(
            queues::table.find((command.tenant.0, command.queue.as_str())).select(queues::is_paused),
        )
        .optional()?
        .unwrap_or(false);
    if was_paused != is_paused {
        batch.conn.execute(
            diesel::insert_into(queues::table)
                .values((
                    queues::tenant_id.eq(command.tenant.0),
                    queues::name.eq(command.queue.as_str()),
                    queues::is_paused.eq(is_paused),
                ))
                .on_conflict((queues::tenant_id, queues::name))
                .do_update()
                .set(queues::is_paused.eq(is_paused)),
        )?;
        let kind = if is_paused { EventKind::QueuePaused } else { EventKind::QueueResumed };
        let data = Data::new().word("queue", &command.queue).finish(None);
        let correlation_id = Arc::clone(&command.correlation_id);
        batch.tell(Fact { kind, tenant: command.tenant, agent: None, correlation_id, data })?;
    }
    Ok(QueueChanged { is_paused })
}
