//! `hive queue …`.

use clap::Subcommand;

use super::Context;
use super::queue_limit::QueueLimit;
use super::queue_list::QueueList;
use super::queue_pause::QueuePause;
use super::queue_resume::QueueResume;
use super::queue_show::QueueShow;
use crate::exit::Exit;
use crate::failure::Failure;

/// The commands about queues.
#[derive(Debug, Subcommand)]
pub enum Queue {
    /// List queues with their tasks by state
    List(QueueList),
    /// Show one queue: its limit, and who waits in it
    Show(QueueShow),
    /// Hand out nothing of a queue until it is resumed
    Pause(QueuePause),
    /// Hand out tasks of a queue again
    Resume(QueueResume),
    /// Limit how many tasks of a queue are worked on at a time
    Limit(QueueLimit),
}

impl Queue {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Pause(command) => command.run(context).await,
            Self::Resume(command) => command.run(context).await,
            Self::Limit(command) => command.run(context).await,
        }
    }
}
