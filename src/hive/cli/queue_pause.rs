//! `hive queue pause`: the queue hands out nothing until it is resumed.

use clap::Args;
use domain::Name;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct QueuePause {
    /// The queue
    #[arg(value_name = "NAME")]
    queue: Name,
}

impl QueuePause {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let queue = context.client.pause_queue(&self.queue).await?;
        if context.screen.is_json() {
            context.screen.line(queue.text())?;
        } else {
            context
                .screen
                .note(&format!("the queue {} hands out nothing now; what is working goes on", queue.name));
        }
        Ok(Exit::Fine)
    }
}
