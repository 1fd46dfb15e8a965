//! A batch's commands inside its transaction: all or none, or each within a savepoint of its own.

use crate::command::Command;
use crate::error::WriteError;
use crate::outcome::Outcome;
use crate::sql::batch::Batch;
use crate::sql::commands;
use crate::sql::failure::Remedy;

/// How a batch's commands share its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All or none.
    Together,
    /// Each within a savepoint of its own, so that one that fails takes none with it.
    Apart,
}

/// Applies all commands and writes what they tell of; their transaction is still open.
pub(crate) fn apply(
    open: &mut Batch<'_>,
    batch: &[Command],
    mode: Mode,
) -> Result<Vec<Result<Outcome, WriteError>>, Remedy> {
    open.conn.gather(mode == Mode::Together);
    match mode {
        Mode::Together => together(open, batch),
        Mode::Apart => apart(open, batch),
    }
}

fn together(open: &mut Batch<'_>, batch: &[Command]) -> Result<Vec<Result<Outcome, WriteError>>, Remedy> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for command in batch {
        outcomes.push(Ok(commands::apply(open, command).map_err(|failure| open.conn.remedy(&failure))?));
    }
    Ok(outcomes)
}

fn apart(open: &mut Batch<'_>, batch: &[Command]) -> Result<Vec<Result<Outcome, WriteError>>, Remedy> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut was_slow = false;
    for command in batch {
        let before = open.mark();
        execute(open, "SAVEPOINT command")?;
        // Events are written at once, so that one that cannot be is its own command's fault.
        let applied = commands::apply(open, command).and_then(|outcome| open.flush().map(|()| outcome));
        match applied {
            Ok(outcome) => {
                execute(open, "RELEASE SAVEPOINT command")?;
                outcomes.push(Ok(outcome));
            }
            Err(failure) => {
                let error = match open.conn.remedy(&failure) {
                    Remedy::RefuseCommand(why) => WriteError::Refused(why),
                    // Where a second one is too slow it is not the commands that are to blame, and each takes its time.
                    Remedy::TooSlow(why) if !was_slow => {
                        was_slow = true;
                        WriteError::Unavailable(why)
                    }
                    remedy => return Err(remedy),
                };
                open.go_back(before);
                open.conn.forget();
                execute(open, "ROLLBACK TO SAVEPOINT command; RELEASE SAVEPOINT command")?;
                outcomes.push(Err(error));
            }
        }
    }
    Ok(outcomes)
}

/// Runs a word of transaction control.
pub(crate) fn execute(open: &mut Batch<'_>, sql: &str) -> Result<(), Remedy> {
    open.conn.batch_execute(sql).map_err(|error| open.conn.remedy(&error.into()))
}
