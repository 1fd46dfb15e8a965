//! Ends an attempt on its holder's report.

use std::sync::Arc;

use domain::{Happening, Next, Refused, Report, transition};

use super::may_report;
use crate::command::FinishAttempt;
use crate::outcome::Finished;
use crate::sql::attempt_row::{self, Ending, report_code};
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::moves::{self, End};
use crate::sql::task_row::TaskRow;

pub(super) fn apply(batch: &mut Batch<'_>, command: &FinishAttempt) -> Result<Finished, Failure> {
    let Some(mut task) = TaskRow::load(batch.conn, command.task)? else { return Ok(Finished::NotFound) };
    if !may_report(batch, &task, command.attempt, command.reporter)? {
        return Ok(Finished::NotFound);
    }
    match transition(task.status(), happening(command)) {
        Ok(Next::Moved { status, outcome: Some(outcome), .. }) => {
            let status = match command.report {
                Report::TimedOut { .. } => moves::beyond_its_deadline(&task, status, batch.now),
                Report::Succeeded { .. } | Report::Failed { .. } | Report::HandedBack { .. } => status,
            };
            let end = End {
                status,
                outcome,
                ending: Ending::of(&command.report, command.workspace.as_ref()),
                chance: command.chance,
                correlation_id: Arc::clone(&command.correlation_id),
            };
            moves::end(batch, &mut task, end)?;
            Ok(Finished::Done { state: task.state })
        }
        Ok(Next::Moved { outcome: None, .. } | Next::Unchanged | Next::CancelNoted(_)) => {
            Err(Failure::corrupt(command.task.to_string(), "a report leaves its attempt open"))
        }
        Err(Refused::StaleAttempt | Refused::State(_)) => repeated(batch, command, &task),
    }
}

const fn happening(command: &FinishAttempt) -> Happening {
    let attempt = command.attempt;
    match &command.report {
        Report::Succeeded { .. } => Happening::Succeeded { attempt },
        Report::Failed { retryable, .. } => Happening::Failed { attempt, retryable: *retryable },
        Report::TimedOut { .. } => Happening::TimedOut { attempt },
        Report::HandedBack { .. } => Happening::Interrupted { attempt },
    }
}

/// A report whose answer was lost comes again: same attempt, same kind of report.
fn repeated(batch: &mut Batch<'_>, command: &FinishAttempt, task: &TaskRow) -> Result<Finished, Failure> {
    let reported = attempt_row::reported(batch.conn, command.task, command.attempt)?.flatten();
    if reported == Some(report_code(&command.report)) {
        Ok(Finished::Repeated { state: task.state })
    } else {
        Ok(Finished::Stale)
    }
}
