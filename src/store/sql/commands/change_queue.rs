//! Changes how a queue hands out its tasks.

use std::sync::Arc;

use diesel::prelude::*;
use domain::EventKind;

use crate::command::{ChangeQueue, QueueEdit};
use crate::outcome::QueueChanged;
use crate::sql::batch::{Batch, Fact};
use crate::sql::columns;
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::schema::queues;

pub(super) fn apply(batch: &mut Batch<'_>, command: &ChangeQueue) -> Result<QueueChanged, Failure> {
    let row = queues::table.find((command.tenant.0, command.queue.as_str()));
    let stored = batch
        .conn
        .get_result::<(bool, Option<i32>), _>(row.select((queues::is_paused, queues::concurrency_limit)));
    let stored = stored.optional()?;
    let was = stored.map_or_else(QueueChanged::default, |(is_paused, limit)| QueueChanged {
        is_paused,
        concurrency_limit: limit.map(columns::count),
    });
    let data = Data::new().word("queue", &command.queue);
    let (now, kind, data) = match command.edit {
        QueueEdit::Pause => (QueueChanged { is_paused: true, ..was }, EventKind::QueuePaused, data),
        QueueEdit::Resume => (QueueChanged { is_paused: false, ..was }, EventKind::QueueResumed, data),
        QueueEdit::Limit(concurrency_limit) => {
            let shown = concurrency_limit.map_or_else(|| "null".to_owned(), |limit| limit.to_string());
            let data = data.value("concurrency_limit", shown);
            (QueueChanged { concurrency_limit, ..was }, EventKind::QueueUpdated, data)
        }
    };
    if now == was {
        return Ok(now);
    }
    let paused = queues::is_paused.eq(now.is_paused);
    let limit = queues::concurrency_limit.eq(now.concurrency_limit.map(columns::count_column));
    batch.conn.execute(
        diesel::insert_into(queues::table)
            .values((
                queues::tenant_id.eq(command.tenant.0),
                queues::name.eq(command.queue.as_str()),
                paused,
                limit,
            ))
            .on_conflict((queues::tenant_id, queues::name))
            .do_update()
            .set((paused, limit)),
    )?;
    let correlation_id = Arc::clone(&command.correlation_id);
    batch.tell(Fact {
        kind,
        tenant: command.tenant,
        agent: None,
        correlation_id,
        data: data.finish(None),
    })?;
    Ok(now)
}
