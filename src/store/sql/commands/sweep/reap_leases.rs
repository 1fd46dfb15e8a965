//! Attempts whose lease has expired end: canceled, timed out or lost.

use std::sync::Arc;

use domain::{Happening, Next, Timeouts, Timestamp, transition};

use crate::sql::attempt_row::Ending;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::moves::{self, End};
use crate::sql::spec_row::{RawSpec, Spec, SpecSql, spec_columns};
use crate::sql::statement::statement;
use crate::sql::task_row::{RawTask, TaskRow, TaskSql, task_columns};

/// Step between the chances of neighbours, so that attempts lost together do not all come back together: the golden
/// ratio's fraction spreads any number of points evenly.
const STEP: f64 = 0.618_033_988_749_895;

pub(super) fn apply(batch: &mut Batch<'_>, limit: u32, chance: f64) -> Result<u32, Failure> {
    let limit = i64::from(limit.saturating_add(batch.quarantine.allowance()));
    let lost = Lost { now: batch.now.as_micros(), limit };
    let rows: Vec<(RawTask, RawSpec)> = batch.conn.load(lost)?;
    let mut count: u32 = 0;
    for (task, spec) in rows {
        let id = task.id();
        let read = TaskRow::try_from(task).and_then(|task| Ok((task, Spec::try_from(spec)?)));
        let Some((mut task, spec)) = batch.quarantine.admit(id, read)? else { continue };
        let why = why(&task, &spec.timeouts, batch.now);
        let Ok(Next::Moved { status, outcome: Some(outcome), .. }) =
            transition(task.status(), why.happening(task.attempt))
        else {
            continue;
        };
        let end = End {
            status: moves::beyond_its_deadline(&task, status, batch.now),
            outcome,
            ending: why.ending(),
            chance: (chance + f64::from(count) * STEP).fract(),
            correlation_id: Arc::clone(&spec.correlation_id),
        };
        moves::end(batch, &mut task, end)?;
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// Why a lease was not renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    CancelGrace,
    StartToClose,
    ScheduleToClose,
    Heartbeat,
    Lost,
}

fn why(task: &TaskRow, timeouts: &Timeouts, now: Timestamp) -> Why {
    let start_to_close = timeouts.start_to_close_ms.zip(task.started_at).map(|(ms, at)| at.plus_ms(ms));
    if task.cancel_requested_at.is_some() {
        Why::CancelGrace
    } else if start_to_close.is_some_and(|deadline| deadline <= now) {
        Why::StartToClose
    } else if task.close_deadline_at.is_some_and(|deadline| deadline <= now) {
        Why::ScheduleToClose
    } else if timeouts.heartbeat_ms.is_some() {
        Why::Heartbeat
    } else {
        Why::Lost
    }
}

impl Why {
    const fn happening(self, attempt: u32) -> Happening {
        match self {
            Self::CancelGrace | Self::Lost => Happening::LeaseLost { attempt },
            Self::StartToClose | Self::ScheduleToClose | Self::Heartbeat => Happening::TimedOut { attempt },
        }
    }

    fn ending(self) -> Ending<'static> {
        let (kind, message) = match self {
            Self::CancelGrace => ("cancel_grace_over", "its holder did not end within the cancel grace"),
            Self::StartToClose => ("start_to_close_timeout", "the attempt took too long"),
            Self::ScheduleToClose => ("schedule_to_close_timeout", "the task did not end in time"),
            Self::Heartbeat => ("heartbeat_timeout", "its holder gave no heartbeat in time"),
            Self::Lost => ("lease_lost", "its holder did not renew the lease"),
        };
        Ending::stated(kind, message)
    }
}

statement! {
    /// Working attempts whose lease has expired, longest expired first.
    Lost { now: i64, limit: i64 } -> (TaskSql, SpecSql) =
    concat!("SELECT ", task_columns!(), ", ", spec_columns!(), " FROM tasks t"), (" INDEXED BY tasks_leased CROSS", ""),
    " JOIN task_specs s ON s.task_id = t.id WHERE t.state = 2 AND t.lease_expires_at <= "; now,
    " ORDER BY t.lease_expires_at, t.id LIMIT "; limit, ("", " FOR UPDATE OF t SKIP LOCKED")
}
