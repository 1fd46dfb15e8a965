//! `hive task …`.

use clap::Subcommand;

use super::Context;
use super::task_append::TaskAppend;
use super::task_attempts::TaskAttempts;
use super::task_bulk::TaskBulk;
use super::task_cancel::TaskCancel;
use super::task_complete::TaskComplete;
use super::task_explain::TaskExplain;
use super::task_fail::TaskFail;
use super::task_finish::TaskFinish;
use super::task_heartbeat::TaskHeartbeat;
use super::task_list::TaskList;
use super::task_output::TaskOutput;
use super::task_redrive::TaskRedrive;
use super::task_retry::TaskRetry;
use super::task_show::TaskShow;
use super::task_submit::TaskSubmit;
use super::task_update::TaskUpdate;
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
    /// Say why a task is where it is
    Explain(TaskExplain),
    /// List the attempts of a task, the latest first
    Attempts(TaskAttempts),
    /// Wait until tasks have ended; prints their results
    Wait(TaskWait),
    /// Change the priority or the labels of a task
    Update(TaskUpdate),
    /// Cancel a task
    Cancel(TaskCancel),
    /// Put a failed task back into its queue
    Retry(TaskRetry),
    /// Put many failed tasks back into their queues, by id or by what fits
    Redrive(Box<TaskRedrive>),
    /// Print what an attempt wrote, or follow it while it is written
    Output(TaskOutput),
    /// For workers: give a sign of life of an attempt, which renews its lease
    Heartbeat(TaskHeartbeat),
    /// For workers: append to what an attempt wrote
    Append(TaskAppend),
    /// For workers: report that an attempt did its task
    Complete(TaskComplete),
    /// For workers: report that an attempt failed
    Fail(TaskFail),
    /// For workers: report how many attempts ended, a JSON object a line
    Finish(TaskFinish),
}

impl Task {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Submit(command) => command.run(context).await,
            Self::Bulk(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Explain(command) => command.run(context).await,
            Self::Attempts(command) => command.run(context).await,
            Self::Wait(command) => command.run(context).await,
            Self::Update(command) => command.run(context).await,
            Self::Cancel(command) => command.run(context).await,
            Self::Retry(command) => command.run(context).await,
            Self::Redrive(command) => command.run(context).await,
            Self::Output(command) => command.run(context).await,
            Self::Heartbeat(command) => command.run(context).await,
            Self::Append(command) => command.run(context).await,
            Self::Complete(command) => command.run(context).await,
            Self::Fail(command) => command.run(context).await,
            Self::Finish(command) => command.run(context).await,
        }
    }
}
