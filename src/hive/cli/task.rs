//! `hive task …`.

use clap::Subcommand;

use super::Context;
use super::task_bulk::TaskBulk;
use super::task_cancel::TaskCancel;
use super::task_list::TaskList;
use super::task_output::TaskOutput;
use super::task_retry::TaskRetry;
use super::task_show::TaskShow;
use super::task_submit::TaskSubmit;
use super::task_wait::TaskWait;
use crate::exit::Exit;
use crate::failure::Failure;

/// The commands about tasks.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Hand in a task; prints its id
    Submit(Box<TaskSubmit>),
    /// Hand in many tasks, a JSON object a line; prints their ids
    Bulk(TaskBulk),
    /// List tasks, newest first
    List(TaskList),
    /// Show one task with input, result and attempts
    Show(TaskShow),
    /// Wait until tasks have ended; prints their results
    Wait(TaskWait),
    /// Cancel a task
    Cancel(TaskCancel),
    /// Put a failed task back into its queue
    Retry(TaskRetry),
    /// Print what an attempt wrote, or follow it while it is written
    Output(TaskOutput),
}

impl Task {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Submit(command) => command.run(context).await,
            Self::Bulk(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Wait(command) => command.run(context).await,
            Self::Cancel(command) => command.run(context).await,
            Self::Retry(command) => command.run(context).await,
            Self::Output(command) => command.run(context).await,
        }
    }
}
