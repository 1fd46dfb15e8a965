//! `hive task explain`: why a task is where it is.

use clap::Args;
use domain::TaskId;

use super::Context;
use super::words::one_line;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::EXPLAIN)]
pub struct TaskExplain {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
}

impl TaskExplain {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let told = context.client.explain(self.id).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(told.text())?;
            return Ok(Exit::Fine);
        }
        screen.line(&format!("{} is {}", self.id, told.state.as_str()))?;
        for reason in &told.reasons {
            screen.line(&format!("  {}: {}", one_line(&reason.code), one_line(&reason.message)))?;
        }
        Ok(Exit::Fine)
    }
}
