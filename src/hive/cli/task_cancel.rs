//! `hive task cancel`.

use clap::Args;
use domain::{TaskId, TaskState};

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct TaskCancel {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Take it from its agent at once, without asking it to end
    #[arg(long)]
    force: bool,
}

impl TaskCancel {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let task = context.client.cancel(self.id, self.force).await?;
        if context.screen.is_json() {
            context.screen.line(task.text())?;
        } else if task.state == TaskState::Canceled {
            context.screen.note(&format!("{} is canceled", task.id));
        } else {
            context
                .screen
                .note(&format!("{}: its agent was asked to end it; --force does not wait", task.id));
        }
        Ok(Exit::Fine)
    }
}
