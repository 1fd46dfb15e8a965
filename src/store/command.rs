//! What can be asked of the writer: one struct a command, each with the type of its answer.
//!
//! Invariant: every command is a compare-and-set. When its guard fails, that is an outcome, not an error; applying
//! it again after an unknown fate does no harm.

mod upkeep;

use std::sync::Arc;

use domain::{
    AcceptedTask, Agent, AgentId, AgentPatch, ApiKey, ApiKeyId, Health, Labels, LaneId, Link, Name, NewAgent,
    Report, TaskId, TenantId, Timestamp, WorkspaceReport,
};

use crate::outcome::{
    AgentChange, ApiKeyCreated, ApiKeyRemoved, Appended, Canceled, ClaimedTask, Finished, Graced, Patched,
    QueueChanged, Redriven, Registered, Renewed, Submitted, Swept,
};
use crate::record::PerformanceRecord;
pub use upkeep::{RecordSystemEvent, SaveCheckpoint, SavePerformance};

/// Everything the writer can do.
#[derive(Debug, Clone)]
pub enum Command {
    /// See [`SubmitTask`].
    SubmitTask(Box<SubmitTask>),
    /// See [`SubmitMany`].
    SubmitMany(SubmitMany),
    /// See [`ClaimTasks`].
    ClaimTasks(ClaimTasks),
    /// See [`FinishAttempt`].
    FinishAttempt(Box<FinishAttempt>),
    /// See [`RenewLease`].
    RenewLease(RenewLease),
    /// See [`CancelTask`].
    CancelTask(CancelTask),
    /// See [`RedriveTask`].
    RedriveTask(RedriveTask),
    /// See [`PatchTask`].
    PatchTask(PatchTask),
    /// See [`AppendOutput`].
    AppendOutput(AppendOutput),
    /// See [`RegisterAgent`].
    RegisterAgent(Box<RegisterAgent>),
    /// See [`ChangeAgent`].
    ChangeAgent(Box<ChangeAgent>),
    /// See [`CreateApiKey`].
    CreateApiKey(Box<CreateApiKey>),
    /// See [`RemoveApiKey`].
    RemoveApiKey(RemoveApiKey),
    /// See [`ChangeQueue`].
    ChangeQueue(ChangeQueue),
    /// See [`Sweep`].
    Sweep(Sweep),
    /// See [`GraceLeases`].
    GraceLeases(GraceLeases),
    /// See [`RecordSystemEvent`].
    RecordSystemEvent(RecordSystemEvent),
    /// See [`SaveCheckpoint`].
    SaveCheckpoint(SaveCheckpoint),
    /// See [`SavePerformance`].
    SavePerformance(SavePerformance),
}

impl Command {
    /// What it is called in metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SubmitTask(_) => "submit_task",
            Self::SubmitMany(_) => "submit_many",
            Self::ClaimTasks(_) => "claim_tasks",
            Self::FinishAttempt(_) => "finish_attempt",
            Self::RenewLease(_) => "renew_lease",
            Self::CancelTask(_) => "cancel_task",
            Self::RedriveTask(_) => "redrive_task",
            Self::PatchTask(_) => "patch_task",
            Self::AppendOutput(_) => "append_output",
            Self::RegisterAgent(_) => "register_agent",
            Self::ChangeAgent(_) => "change_agent",
            Self::CreateApiKey(_) => "create_api_key",
            Self::RemoveApiKey(_) => "remove_api_key",
            Self::ChangeQueue(_) => "change_queue",
            Self::Sweep(_) => "sweep",
            Self::GraceLeases(_) => "grace_leases",
            Self::RecordSystemEvent(_) => "record_system_event",
            Self::SaveCheckpoint(_) => "save_checkpoint",
            Self::SavePerformance(_) => "save_performance",
        }
    }

    /// About how many bytes it holds that vary, for the limit on a batch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::SubmitTask(command) => input_bytes(command),
            Self::SubmitMany(command) => command.tasks.iter().map(input_bytes).sum(),
            Self::FinishAttempt(command) => {
                report_bytes(&command.report) + command.workspace.as_ref().map_or(0, workspace_bytes)
            }
            Self::AppendOutput(command) => command.text.len(),
            Self::SaveCheckpoint(command) => command.projection.len(),
            Self::SavePerformance(command) => command.rows.iter().map(PerformanceRecord::bytes).sum(),
            Self::RegisterAgent(command) => link_bytes(&command.agent.asked.link),
            Self::ChangeAgent(command) => match &command.change {
                AgentEdit::Patch { patch, seen } => {
                    let links = patch.link.iter().chain(seen.iter().map(|seen| &seen.link));
                    links.map(link_bytes).sum()
                }
                AgentEdit::Drain(_) | AgentEdit::Observe(_) | AgentEdit::Remove => 0,
            },
            Self::ClaimTasks(_)
            | Self::RenewLease(_)
            | Self::CancelTask(_)
            | Self::RedriveTask(_)
            | Self::PatchTask(_)
            | Self::CreateApiKey(_)
            | Self::RemoveApiKey(_)
            | Self::ChangeQueue(_)
            | Self::Sweep(_)
            | Self::GraceLeases(_)
            | Self::RecordSystemEvent(_) => 0,
        }
    }
}

fn input_bytes(command: &SubmitTask) -> usize {
    command.task.asked.input.as_ref().map_or(0, |input| input.len())
}

fn report_bytes(report: &Report) -> usize {
    match report {
        Report::Succeeded { result, .. } => result.as_ref().map_or(0, String::len),
        Report::Failed { error, .. } | Report::TimedOut { error, .. } => error.message.len(),
        Report::HandedBack { .. } => 0,
    }
}

fn workspace_bytes(workspace: &WorkspaceReport) -> usize {
    workspace.path.len() + workspace.diff.as_ref().map_or(0, String::len)
}

fn link_bytes(link: &Link) -> usize {
    let Some(process) = link.process() else { return 0 };
    let words = process.command.iter().chain(&process.args).map(String::len).sum::<usize>();
    words + process.env.iter().map(|(name, value)| name.len() + value.reveal().len()).sum::<usize>()
}

/// A command together with the type of its answer.
pub trait Write: Into<Command> + Send + 'static {
    /// What the writer answers once the command is committed.
    type Answer: Send + 'static;
    /// Takes the answer out of the writer's outcome; `None` would be a bug of the writer.
    fn answer(outcome: crate::outcome::Outcome) -> Option<Self::Answer>;
}

macro_rules! writes {
    ($($command:ident -> $variant:ident($answer:ty) $(, $boxed:ident)?;)*) => { $(
        impl From<$command> for Command {
            fn from(command: $command) -> Self {
                Self::$command(writes!(@wrap command $($boxed)?))
            }
        }
        impl Write for $command {
            type Answer = $answer;
            fn answer(outcome: crate::outcome::Outcome) -> Option<$answer> {
                match outcome {
                    crate::outcome::Outcome::$variant(answer) => Some(answer),
                    _ => None,
                }
            }
        }
    )* };
    (@wrap $value:ident boxed) => { Box::new($value) };
    (@wrap $value:ident) => { $value };
}

writes! {
    SubmitTask -> Submitted(Submitted), boxed;
    SubmitMany -> SubmittedMany(Vec<Submitted>);
    ClaimTasks -> Claimed(Vec<ClaimedTask>);
    FinishAttempt -> Finished(Finished), boxed;
    RenewLease -> Renewed(Renewed);
    CancelTask -> Canceled(Canceled);
    RedriveTask -> Redriven(Redriven);
    PatchTask -> Patched(Patched);
    AppendOutput -> Appended(Appended);
    RegisterAgent -> Registered(Registered), boxed;
    ChangeAgent -> AgentChange(AgentChange), boxed;
    CreateApiKey -> ApiKeyCreated(ApiKeyCreated), boxed;
    RemoveApiKey -> ApiKeyRemoved(ApiKeyRemoved);
    ChangeQueue -> QueueChanged(QueueChanged);
    Sweep -> Swept(Swept);
    GraceLeases -> Graced(Graced);
    RecordSystemEvent -> Recorded(());
    SaveCheckpoint -> Saved(());
    SavePerformance -> Saved(());
}

/// An `Idempotency-Key`, hashed together with its scope (tenant, principal, route).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// SHA-256 of scope and key.
    pub hash: [u8; 32],
    /// SHA-256 of the request's body; another one under the same key is a mismatch.
    pub fingerprint: [u8; 32],
    /// How long it is kept, in milliseconds from the commit.
    pub ttl_ms: u64,
}

/// Stores a task. With `eager` set it is stored as `working`, attempt 1, in the same commit.
#[derive(Debug, Clone)]
pub struct SubmitTask {
    /// The task.
    pub task: AcceptedTask,
    /// Guards against a second submit of the same request.
    pub key: Option<IdempotencyKey>,
    /// The agent that has a free slot for it, when its lane is empty. Ignored for a task that is not ready yet
    /// and for an agent that is gone or drains.
    pub eager: Option<AgentId>,
    /// Lease of a task that names no heartbeat timeout, in milliseconds.
    pub lease_ttl_ms: u64,
    /// Whether its queue has room for one more. Without it nothing new is stored; a request that came before is answered
    /// all the same.
    pub has_room: bool,
}

/// Stores many tasks in one commit, each as by itself: one that is not accepted takes none with it.
#[derive(Debug, Clone)]
pub struct SubmitMany {
    /// The tasks, in the order in which they are to be stored.
    pub tasks: Vec<SubmitTask>,
}

/// Takes up to `count` heads of one lane and priority for an agent. Answers fewer when there are fewer or when attempts in
/// `behind` have not ended, none when the agent is gone or drains. One index seek, whatever the backlog.
#[derive(Debug, Clone)]
pub struct ClaimTasks {
    /// From which lane.
    pub lane: LaneId,
    /// Of which priority.
    pub priority: u8,
    /// How many at most.
    pub count: u32,
    /// For whom.
    pub agent: AgentId,
    /// Lease of a task that names no heartbeat timeout, in milliseconds.
    pub lease_ttl_ms: u64,
    /// Attempts whose ends were sent before this: one fewer is taken for each that works all the same.
    pub behind: Vec<(TaskId, u32)>,
}

/// Who reports about an attempt. An attempt of another tenant, or never held by this agent, is one that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporter {
    /// Whose attempts it may report about.
    pub tenant: TenantId,
    /// The one agent whose attempts it may report about; `None` for those of all.
    pub agent: Option<AgentId>,
}

/// Ends an attempt. Guard: the task works and `attempt` is its present one.
#[derive(Debug, Clone)]
pub struct FinishAttempt {
    /// Which task.
    pub task: TaskId,
    /// Which attempt; the fencing number.
    pub attempt: u32,
    /// How it ended.
    pub report: Report,
    /// What it left in its workspace.
    pub workspace: Option<WorkspaceReport>,
    /// A random number from 0 to 1 for the jitter of a backoff.
    pub chance: f64,
    /// The request that reports it.
    pub correlation_id: Arc<str>,
    /// Who says so; `None` for the hive itself, which reports only what it runs.
    pub reporter: Option<Reporter>,
}

/// Renews a lease by its own time to live, never beyond the attempt's deadline. Guard as [`FinishAttempt`].
#[derive(Debug, Clone, Copy)]
pub struct RenewLease {
    /// Which task.
    pub task: TaskId,
    /// Which attempt; the fencing number.
    pub attempt: u32,
    /// Who says so; `None` for the hive itself, which reports only what it runs.
    pub reporter: Option<Reporter>,
}

/// Cancels a waiting task, or asks the holder of a working one to end within `grace_ms`.
#[derive(Debug, Clone)]
pub struct CancelTask {
    /// Whose.
    pub tenant: TenantId,
    /// Which task.
    pub task: TaskId,
    /// Takes it from its holder at once.
    pub force: bool,
    /// How long a holder has to end; then the reaper ends the attempt.
    pub grace_ms: u64,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// Puts a dead letter back.
#[derive(Debug, Clone)]
pub struct RedriveTask {
    /// Whose.
    pub tenant: TenantId,
    /// Which task.
    pub task: TaskId,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// Changes priority or labels of a task that is not terminal; `None` stays as it is.
#[derive(Debug, Clone)]
pub struct PatchTask {
    /// Whose.
    pub tenant: TenantId,
    /// Which task.
    pub task: TaskId,
    /// The new priority.
    pub priority: Option<u8>,
    /// The new labels, all of them.
    pub labels: Option<Labels>,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// Appends output of a working attempt; what goes beyond `bytes_max` for the attempt is cut and marked so. Once output
/// was cut here, only a piece that `follows_cut` is stored, as far as there is room.
#[derive(Debug, Clone)]
pub struct AppendOutput {
    /// Which task.
    pub task: TaskId,
    /// Which attempt; the fencing number.
    pub attempt: u32,
    /// The text, at most 64 KiB.
    pub text: Arc<str>,
    /// Most output of one attempt, in bytes.
    pub bytes_max: u64,
    /// Whether its sender left out output before this piece; the piece before it is marked so.
    pub follows_cut: bool,
    /// How much output of the attempt its only sender knows to be stored, in bytes. Where more is stored, this piece was
    /// stored before, and nothing is written.
    pub after_bytes: Option<u64>,
    /// Who says so; `None` for the hive itself, which reports only what it runs.
    pub reporter: Option<Reporter>,
}

/// Registers an agent. Guard: its name is free within its tenant.
#[derive(Debug, Clone)]
pub struct RegisterAgent {
    /// The agent; `created_at` is set by the writer.
    pub agent: Agent,
    /// Guards against a second registration by the same request.
    pub key: Option<IdempotencyKey>,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// Changes an agent in one way.
#[derive(Debug, Clone)]
pub struct ChangeAgent {
    /// Whose.
    pub tenant: TenantId,
    /// Which agent.
    pub agent: AgentId,
    /// How.
    pub change: AgentEdit,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// One way to change an agent.
#[derive(Debug, Clone)]
pub enum AgentEdit {
    /// Role, capabilities, capacity, labels or link. Guard: with `seen`, the agent is still asked for so.
    Patch {
        /// What becomes of it.
        patch: AgentPatch,
        /// What the patch was made from.
        seen: Option<Box<NewAgent>>,
    },
    /// Whether it takes nothing new.
    Drain(bool),
    /// What was observed of it.
    Observe(Health),
    /// It goes. Its working attempts keep their leases until they end or expire.
    Remove,
}

/// Makes an API key. Guard: its name is free within its tenant, which has room for one more, and its agent is there.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// The key; `created_at` is set by the writer.
    pub key: ApiKey,
    /// Guards against a second key by the same request.
    pub guard: Option<IdempotencyKey>,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// Removes an API key.
#[derive(Debug, Clone)]
pub struct RemoveApiKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which key.
    pub id: ApiKeyId,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// Changes how a queue hands out its tasks; survives restarts. A change that changes nothing leaves no event.
#[derive(Debug, Clone)]
pub struct ChangeQueue {
    /// Whose.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: Name,
    /// What is changed.
    pub edit: QueueEdit,
    /// The request that asks.
    pub correlation_id: Arc<str>,
}

/// What is changed of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueEdit {
    /// It hands out nothing from now on.
    Pause,
    /// It hands out tasks again.
    Resume,
    /// At most so many of its tasks are worked on at a time; `None` for as many as agents take.
    Limit(Option<u32>),
}

/// One bounded round of a janitor.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// What is swept.
    pub chore: Chore,
    /// At most how many rows, and as many more as are known not to be understood.
    pub limit: u32,
    /// A random number from 0 to 1 for the jitter of backoffs.
    pub chance: f64,
}

/// What a janitor sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// `scheduled` tasks whose `eligible_at` has come become `queued`.
    StageDue,
    /// Attempts whose lease has expired end: canceled, timed out or lost.
    ReapLeases,
    /// Working attempts of agents that are processes end as crashed: queued again, uncharged; with the third a dead
    /// letter; canceled where that was asked for. For the start of a hive, before it hands out anything: whatever
    /// works then was run by a hive that is no more. Never due by itself.
    EndCrashed,
    /// Waiting tasks beyond schedule-to-start or schedule-to-close become dead letters.
    ExpireWaiting,
    /// Terminal tasks that ended before this moment are removed with all that belongs to them.
    RetireTasks(Timestamp),
    /// Events before this moment are removed, as far as the last checkpoint covers them.
    RetireEvents(Timestamp),
    /// Keys past their time are removed.
    RetireKeys,
}

/// Gives every working attempt at least `ttl_ms` more, and at most its own time where that is longer, once, after a start:
/// before it, the clock may have been ahead.
#[derive(Debug, Clone, Copy)]
pub struct GraceLeases {
    /// How long from the commit, in milliseconds.
    pub ttl_ms: u64,
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
