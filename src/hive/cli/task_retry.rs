//! `hive task retry`: puts a failed task back into its queue.

use clap::Args;
use domain::TaskId;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct TaskRetry {
    /// The failed task
    #[arg(value_name = "ID")]
    id: TaskId,
}

impl TaskRetry {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let task = context.client.retry(self.id).await?;
        if context.screen.is_json() {
            context.screen.line(task.text())?;
        } else {
            let (id, state) = (task.id, task.state.as_str());
            context.screen.note(&format!("{id} is {state} again, in the queue {}", task.queue));
        }
        Ok(Exit::Fine)
    }
}
