//! Attempts that a hive ran which is no more end as crashed.

use diesel::sql_types::Text;
use domain::{Happening, Next, transition};

use crate::sql::attempt_row::Ending;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::moves::{self, End};
use crate::sql::statement::statement;
use crate::sql::task_row::{RawTask, TaskRow, TaskSql, task_columns};

pub(super) fn apply(batch: &mut Batch<'_>, limit: u32) -> Result<u32, Failure> {
    let limit = i64::from(limit.saturating_add(batch.quarantine.allowance()));
    let rows: Vec<(RawTask, String)> = batch.conn.load(Orphaned { limit })?;
    let mut count: u32 = 0;
    for (task, correlation_id) in rows {
        let read = batch.quarantine.pass(task.id(), TaskRow::try_from(task))?;
        let Some(mut task) = read else { continue };
        let happening = Happening::Crashed { attempt: task.attempt };
        let Ok(Next::Moved { status, outcome: Some(outcome), .. }) = transition(task.status(), happening)
        else {
            continue;
        };
        let end = End {
            status,
            outcome,
            ending: Ending::stated("crashed", "the hive that ran it ended"),
            // It does not back off: nobody is to blame.
            chance: 0.0,
            correlation_id: correlation_id.into(),
        };
        moves::end(batch, &mut task, end)?;
        count = count.saturating_add(1);
    }
    Ok(count)
}

statement! {
    /// Working attempts whose agent is a process, also one that was removed, first to expire first.
    Orphaned { limit: i64 } -> (TaskSql, Text) =
    concat!("SELECT ", task_columns!(), ", s.correlation_id FROM tasks t"), (" INDEXED BY tasks_leased CROSS", ""),
    " JOIN agents a ON a.id = t.agent_id", (" CROSS", ""), " JOIN task_specs s ON s.task_id = t.id \
         WHERE t.state = 2 AND a.link = 'process' ORDER BY t.lease_expires_at, t.id LIMIT "; limit, ("", " FOR UPDATE OF t SKIP LOCKED")
}
