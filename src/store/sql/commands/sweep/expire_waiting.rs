//! Waiting tasks beyond schedule-to-start or schedule-to-close become dead letters.

use diesel::sql_types::Text;
use domain::{EventKind, Happening, Move, Next, transition};

use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sql::task_row::{Expiry, RawTask, TaskRow, TaskSql, task_columns};

pub(super) fn apply(batch: &mut Batch<'_>, limit: u32) -> Result<u32, Failure> {
    let limit = i64::from(limit.saturating_add(batch.quarantine.allowance()));
    let expired = Expired { now: batch.now.as_micros(), limit };
    let rows: Vec<(RawTask, String)> = batch.conn.load(expired)?;
    let mut count = 0;
    for (task, correlation_id) in rows {
        let read = batch.quarantine.pass(task.id(), TaskRow::try_from(task))?;
        let Some(mut task) = read else { continue };
        let Ok(Next::Moved { status, .. }) = transition(task.status(), Happening::Expired) else { continue };
        let from = task.state;
        let is_closed = task.close_deadline_at.is_some_and(|deadline| deadline <= batch.now);
        let expiry = if is_closed { Expiry::ScheduleToClose } else { Expiry::ScheduleToStart };
        task.take(status, batch.now);
        task.expired = Some(expiry);
        let telling = Telling {
            kind: EventKind::TaskFailed,
            moved: Some(Move { from: Some(from), to: task.state, priority_from: None }),
            correlation_id: correlation_id.into(),
            data: Data::new().word("error_kind", expiry.as_str()),
        };
        batch.tell_task(&mut task, telling)?;
        task.store(batch.conn)?;
        count += 1;
    }
    Ok(count)
}

statement! {
    /// Waiting tasks whose deadline has come, longest expired first.
    Expired { now: i64, limit: i64 } -> (TaskSql, Text) =
    concat!("SELECT ", task_columns!(), ", s.correlation_id FROM tasks t"), (" INDEXED BY tasks_waiting CROSS", ""),
    " JOIN task_specs s ON s.task_id = t.id WHERE t.state IN (0, 1) \
         AND t.wait_deadline_at IS NOT NULL AND t.wait_deadline_at <= "; now,
    " ORDER BY t.wait_deadline_at, t.id LIMIT "; limit, ("", " FOR UPDATE OF t SKIP LOCKED")
}
