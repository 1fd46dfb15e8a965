//! Scheduled tasks whose time has come become queued.

use diesel::sql_types::Text;
use domain::{EventKind, Happening, Move, Next, transition};

use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sql::task_row::{RawTask, TaskRow, TaskSql, task_columns};

pub(super) fn apply(batch: &mut Batch<'_>, limit: u32) -> Result<u32, Failure> {
    let limit = i64::from(limit.saturating_add(batch.quarantine.allowance()));
    let due = Due { now: batch.now.as_micros(), limit };
    let rows: Vec<(RawTask, String)> = batch.conn.load(due)?;
    let mut count = 0;
    for (task, correlation_id) in rows {
        let read = batch.quarantine.pass(task.id(), TaskRow::try_from(task))?;
        let Some(mut task) = read else { continue };
        let Ok(Next::Moved { status, .. }) = transition(task.status(), Happening::Due) else { continue };
        let from = task.state;
        // The wait deadline was set when it was scheduled, for the moment that has come now; it stays.
        task.take(status, batch.now);
        let telling = Telling {
            kind: EventKind::TaskQueued,
            moved: Some(Move { from: Some(from), to: task.state, priority_from: None }),
            correlation_id: correlation_id.into(),
            data: Data::new(),
        };
        batch.tell_task(&mut task, telling)?;
        task.store(batch.conn)?;
        count += 1;
    }
    Ok(count)
}

statement! {
    /// Scheduled tasks whose time has come, longest due first.
    Due { now: i64, limit: i64 } -> (TaskSql, Text) =
    concat!("SELECT ", task_columns!(), ", s.correlation_id FROM tasks t"), (" INDEXED BY tasks_scheduled CROSS", ""),
    " JOIN task_specs s ON s.task_id = t.id WHERE t.state = 0 AND t.eligible_at <= "; now,
    " ORDER BY t.eligible_at, t.id LIMIT "; limit, ("", " FOR UPDATE OF t SKIP LOCKED")
}
