//! Commands, one file each: read the hot row, let `domain::transition` decide, write.

mod append_output;
mod cancel_task;
mod change_agent;
mod change_queue;
pub(crate) mod claim_tasks;
mod create_api_key;
mod finish_attempt;
pub(crate) mod grace_leases;
pub(crate) mod keys;
mod patch_task;
mod record_system_event;
mod redrive_task;
mod register_agent;
mod remove_api_key;
mod renew_lease;
mod save_checkpoint;
mod save_performance;
mod submit_task;
pub(crate) mod sweep;
pub(crate) mod unique;

use domain::{TaskState, TenantId};

use crate::command::{Command, Reporter};
use crate::outcome::Outcome;
use crate::sql::attempt_row;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::task_row::TaskRow;

/// Applies one command inside the batch's transaction.
pub(crate) fn apply(batch: &mut Batch<'_>, command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::SubmitTask(command) => submit_task::apply(batch, command).map(Outcome::Submitted),
        Command::SubmitMany(command) => {
            let answers = command.tasks.iter().map(|task| submit_task::apply(batch, task));
            answers.collect::<Result<_, _>>().map(Outcome::SubmittedMany)
        }
        Command::ClaimTasks(command) => claim_tasks::apply(batch, command).map(Outcome::Claimed),
        Command::FinishAttempt(command) => finish_attempt::apply(batch, command).map(Outcome::Finished),
        Command::RenewLease(command) => renew_lease::apply(batch, command).map(Outcome::Renewed),
        Command::CancelTask(command) => cancel_task::apply(batch, command).map(Outcome::Canceled),
        Command::RedriveTask(command) => redrive_task::apply(batch, command).map(Outcome::Redriven),
        Command::PatchTask(command) => patch_task::apply(batch, command).map(Outcome::Patched),
        Command::AppendOutput(command) => append_output::apply(batch, command).map(Outcome::Appended),
        Command::RegisterAgent(command) => register_agent::apply(batch, command).map(Outcome::Registered),
        Command::ChangeAgent(command) => change_agent::apply(batch, command).map(Outcome::AgentChange),
        Command::CreateApiKey(command) => create_api_key::apply(batch, command).map(Outcome::ApiKeyCreated),
        Command::RemoveApiKey(command) => remove_api_key::apply(batch, command).map(Outcome::ApiKeyRemoved),
        Command::ChangeQueue(command) => change_queue::apply(batch, command).map(Outcome::QueueChanged),
        Command::Sweep(command) => sweep::apply(batch, command).map(Outcome::Swept),
        Command::GraceLeases(command) => grace_leases::apply(batch, *command).map(Outcome::Graced),
        Command::RecordSystemEvent(command) => {
            record_system_event::apply(batch, command).map(Outcome::Recorded)
        }
        Command::SaveCheckpoint(command) => save_checkpoint::apply(batch, command).map(Outcome::Saved),
        Command::SavePerformance(command) => save_performance::apply(batch, command).map(Outcome::Saved),
    }
}

/// A tenant's task; another tenant's is as good as none.
fn task_of(batch: &mut Batch<'_>, tenant: TenantId, id: domain::TaskId) -> Result<Option<TaskRow>, Failure> {
    Ok(TaskRow::load(batch.conn, id)?.filter(|task| task.tenant == tenant))
}

/// Whether `reporter` may speak of this attempt of `task`: its tenant's, and its agent's where it is one. It is decided
/// here, under the database's lock, by who holds the attempt or held it.
fn may_report(
    batch: &mut Batch<'_>,
    task: &TaskRow,
    attempt: u32,
    reporter: Option<Reporter>,
) -> Result<bool, Failure> {
    let Some(Reporter { tenant, agent }) = reporter else { return Ok(true) };
    if tenant != task.tenant {
        return Ok(false);
    }
    let Some(agent) = agent else { return Ok(true) };
    let is_present = task.state == TaskState::Working && task.attempt == attempt;
    let holder = if is_present { task.agent } else { attempt_row::holder(batch.conn, task.id, attempt)? };
    Ok(holder == Some(agent))
}

/// A stored task as it stands, for an answer.
fn record(batch: &mut Batch<'_>, task: &TaskRow) -> Result<Box<crate::record::TaskRecord>, Failure> {
    let lane = batch.lane_spec(task.lane)?;
    crate::sql::records::task(batch.conn, task, &lane).map(Box::new)
}
