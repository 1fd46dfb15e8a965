//! `hive task wait`: waits until tasks have ended and prints their results.

use std::time::{Duration, Instant};

use clap::Args;
use client::{Answer, Error};
use domain::{TaskId, TaskState};
use protocol::TaskView;

use super::Context;
use super::words::{compact, one_line, span_ms};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::Span;

/// The first look comes soon: many tasks are done at once.
const POLL_MIN: Duration = Duration::from_millis(50);
/// Growing up to this: one look a second costs nothing and nobody waits longer for nothing.
const POLL_MAX: Duration = Duration::from_secs(1);
/// How long a hive may be away while somebody waits: long enough for a restart.
pub(super) const AWAY_MAX: Duration = Duration::from_secs(30);

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::WAIT)]
pub struct TaskWait {
    /// The tasks
    #[arg(required = true, value_name = "ID")]
    ids: Vec<TaskId>,
    /// Wait this long at most; the tasks go on
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
}

impl TaskWait {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        wait_for(context, &self.ids, Patience::of(self.timeout)).await
    }
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    asked: Option<Span>,
    until: Option<Instant>,
}

impl Patience {
    /// From now on; without a span for ever.
    pub fn of(asked: Option<Span>) -> Self {
        let until = asked.and_then(|span| Instant::now().checked_add(span.into()));
        Self { asked, until }
    }

    fn left(self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }
}

/// Waits for all tasks, one after the other, and prints the result of each in their order.
///
/// # Errors
/// A [`Failure`] when the time is over, a task is gone or the hive stays away.
pub async fn wait_for(context: &mut Context, ids: &[TaskId], patience: Patience) -> Result<Exit, Failure> {
    let mut exit = Exit::Fine;
    for id in ids {
        let task = ended(context, *id, patience).await?;
        if task.state != TaskState::Completed {
            exit = Exit::TaskFailed;
            context.screen.note(&end_in_words(&task));
        }
        if context.screen.is_json() {
            context.screen.line(task.text())?;
        } else if let [_] = ids {
            // one result is handed on as it came; of one without a result there is nothing to print
            if let Some(result) = &task.result {
                context.screen.line(result.get())?;
            }
        } else {
            let result = task.result.as_ref().map_or("null", |result| result.get());
            context.screen.line(&compact(result))?;
        }
    }
    Ok(exit)
}

async fn ended(context: &mut Context, id: TaskId, patience: Patience) -> Result<Answer<TaskView>, Failure> {
    let mut pause = POLL_MIN;
    let mut away_since: Option<Instant> = None;
    loop {
        match context.client.task(id).await {
            Ok(task) if task.state.is_terminal() => return Ok(task),
            Ok(task) if patience.left().is_zero() => return Err(too_long(&task, patience)),
            Ok(_) => away_since = None,
            Err(error) if is_passing(&error) => {
                if away_since.is_none() {
                    context.screen.note("the hive does not answer; trying again");
                }
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > AWAY_MAX || patience.left().is_zero() {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause.min(patience.left())).await;
        pause = (pause * 3 / 2).min(POLL_MAX);
    }
}

/// Whether a restart of the hive may explain it.
pub(super) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Ended { .. } => true,
        Error::Problem { problem, .. } => problem.status == 503,
        Error::Unexpected { .. } | Error::Unusable { .. } => false,
    }
}

fn too_long(task: &TaskView, patience: Patience) -> Failure {
    let waited = patience.asked.map_or_else(String::new, |span| format!(" after {}", span_ms(span.ms)));
    let message = format!("{} is still {}{waited}; it goes on", task.id, task.state.as_str());
    Failure::new(Exit::WaitedTooLong, message).hint(format!("wait on with `hive task wait {}`", task.id))
}

/// How a task ended that did not complete.
pub fn end_in_words(task: &TaskView) -> String {
    let why = task.error.as_ref().map_or_else(String::new, |error| {
        format!(": {}: {}", one_line(&error.kind), one_line(&error.message))
    });
    match task.state {
        TaskState::Failed => {
            let tries = super::words::counted(u64::from(task.attempt), "attempt");
            format!("{} failed after {tries}{why}", task.id)
        }
        state => format!("{} is {}{why}", task.id, state.as_str()),
    }
}

#[cfg(test)]
#[path = "task_wait_tests.rs"]
mod tests;
