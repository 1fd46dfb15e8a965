//! `hive queue resume`: the queue hands out tasks again.

use clap::Args;
use domain::Name;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct QueueResume {
    /// The queue
    #[arg(value_name = "NAME")]
    queue: Name,
}

impl QueueResume {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let queue = context.client.resume_queue(&self.queue).await?;
        if context.screen.is_json() {
            context.screen.line(queue.text())?;
        } else {
            context.screen.note(&format!("the queue {} hands out tasks again", queue.name));
        }
        Ok(Exit::Fine)
    }
}
