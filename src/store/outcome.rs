//! What the writer answers, command by command.

use std::sync::Arc;

use domain::{Agent, AgentId, ApiKey, Labels, Name, TaskId, TaskState, Timeouts, Timestamp};

use crate::record::TaskRecord;

/// One outcome; [`crate::command::Write::answer`] unpacks it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Of `SubmitTask`.
    Submitted(Submitted),
    /// Of `SubmitMany`, in its order.
    SubmittedMany(Vec<Submitted>),
    /// Of `ClaimTasks`, oldest first.
    Claimed(Vec<ClaimedTask>),
    /// Of `FinishAttempt`.
    Finished(Finished),
    /// Of `RenewLease`.
    Renewed(Renewed),
    /// Of `CancelTask`.
    Canceled(Canceled),
    /// Of `RedriveTask`.
    Redriven(Redriven),
    /// Of `PatchTask`.
    Patched(Patched),
    /// Of `AppendOutput`.
    Appended(Appended),
    /// Of `RegisterAgent`.
    Registered(Registered),
    /// Of `ChangeAgent`.
    AgentChange(AgentChange),
    /// Of `CreateApiKey`.
    ApiKeyCreated(ApiKeyCreated),
    /// Of `RemoveApiKey`.
    ApiKeyRemoved(ApiKeyRemoved),
    /// Of `ChangeQueue`.
    QueueChanged(QueueChanged),
    /// Of `Sweep`.
    Swept(Swept),
    /// Of `GraceLeases`.
    Graced(Graced),
    /// Of `RecordSystemEvent`.
    Recorded(()),
    /// Of `SaveCheckpoint` and `SavePerformance`.
    Saved(()),
}

/// An attempt as it is handed to an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedTask {
    /// Which task.
    pub task: TaskId,
    /// Which attempt; the fencing number of every report.
    pub attempt: u32,
    /// Who holds it.
    pub agent: AgentId,
    /// What people call it.
    pub title: String,
    /// What sort of work it is.
    pub kind: Option<Name>,
    /// The queue it came from.
    pub queue: Name,
    /// Its priority.
    pub priority: u8,
    /// Its input as JSON, byte for byte as it came.
    pub input: Option<Arc<str>>,
    /// Its labels.
    pub labels: Labels,
    /// How long the lease lasts without a heartbeat, in milliseconds.
    pub lease_ttl_ms: u64,
    /// When the lease expires.
    pub lease_expires_at: Timestamp,
    /// Since when it could have been claimed.
    pub ready_at: Timestamp,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What ties log lines and events of the submitting request together.
    pub correlation_id: Arc<str>,
}

/// Answer to a submit.
#[derive(Debug, Clone)]
pub enum Submitted {
    /// It is stored.
    Accepted {
        /// As it stands.
        record: Box<TaskRecord>,
        /// The attempt, when it was claimed in the same commit.
        claimed: Option<Box<ClaimedTask>>,
    },
    /// The same request was accepted before; this is its task as it stands now.
    Replayed(Box<TaskRecord>),
    /// Another task has its unique key; this is that task as it stands now, which is what the submit asked for.
    Existing(Box<TaskRecord>),
    /// Another task has its unique key; it may have left already.
    UniqueConflict(TaskId),
    /// The same key was used with another body.
    KeyMismatch,
    /// The agent it is pinned to does not exist.
    UnknownAgent,
    /// There are as many lanes as there may be (distinct queue, requirements and pinned agent).
    TooManyLanes,
    /// It is new, and the command says that its queue has no room.
    QueueFull,
}

/// Answer to the end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The report decided; the task stands so now.
    Done {
        /// The task's new state.
        state: TaskState,
    },
    /// The same report came before; nothing changed.
    Repeated {
        /// The task's present state.
        state: TaskState,
    },
    /// The attempt does not hold the task (any more).
    Stale,
    /// There is no such task.
    NotFound,
}

/// Answer to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The lease holds until then.
    Until {
        /// The stored expiry.
        lease_expires_at: Timestamp,
        /// Whether the holder should end.
        is_cancel_requested: bool,
    },
    /// The attempt does not hold the task (any more).
    Stale,
    /// There is no such task.
    NotFound,
}

/// Answer to a cancel.
#[derive(Debug, Clone)]
pub enum Canceled {
    /// It is canceled, or its holder is asked; as it stands now. Repeats answer the same.
    Done(Box<TaskRecord>),
    /// It is completed or failed.
    Conflict(TaskState),
    /// There is no such task.
    NotFound,
}

/// Answer to a redrive.
#[derive(Debug, Clone)]
pub enum Redriven {
    /// It is queued again.
    Done(Box<TaskRecord>),
    /// It is not a dead letter.
    Conflict(TaskState),
    /// Another task has its unique key now.
    UniqueConflict(TaskId),
    /// There is no such task.
    NotFound,
}

/// Answer to a change of priority or labels.
#[derive(Debug, Clone)]
pub enum Patched {
    /// As it stands now.
    Done(Box<TaskRecord>),
    /// It is terminal.
    Conflict(TaskState),
    /// There is no such task.
    NotFound,
}

/// Answer to output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Stored, in whole or as far as the limit allows.
    Done {
        /// How much output of this attempt is stored, in bytes.
        stored_bytes: u64,
        /// Whether something was cut, right before this piece or of it.
        is_truncated: bool,
    },
    /// The attempt does not hold the task (any more).
    Stale,
    /// There is no such task.
    NotFound,
}

/// Answer to a registration.
#[derive(Debug, Clone)]
pub enum Registered {
    /// It is stored.
    Accepted(Box<Agent>),
    /// The same request was accepted before; as it stands now.
    Replayed(Box<Agent>),
    /// The same key was used with another body.
    KeyMismatch,
    /// The name is taken.
    NameTaken,
}

/// Answer to a change of an agent.
#[derive(Debug, Clone)]
pub enum AgentChange {
    /// As it stands now (for a removal: as it stood last). Nothing is written when nothing changes.
    Done(Box<Agent>),
    /// Something else changed it since it was seen; nothing is written.
    Superseded,
    /// There is no such agent.
    NotFound,
}

/// Answer to the making of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyCreated {
    /// It is stored.
    Accepted(Box<ApiKey>),
    /// The same request made a key before; this is it. Whoever asks now cannot have its secret.
    Replayed(Box<ApiKey>),
    /// The same idempotency key was used with another body.
    KeyMismatch,
    /// The name is taken.
    NameTaken,
    /// The agent does not exist.
    UnknownAgent,
    /// The tenant has as many keys as it may have.
    TooMany,
}

/// Answer to the removal of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyRemoved {
    /// As it stood last.
    Done(Box<ApiKey>),
    /// There is no such key.
    NotFound,
}

/// Answer to a change of a queue: how it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueChanged {
    /// Whether it hands out nothing.
    pub is_paused: bool,
    /// Most tasks of it that are worked on at a time.
    pub concurrency_limit: Option<u32>,
}

/// Answer to a round of a janitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many rows were moved or removed.
    pub count: u32,
    /// When the next one is due, as far as that is known.
    pub next_at: Option<Timestamp>,
}

/// Answer to the grace after a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graced {
    /// How many leases were prolonged.
    pub count: u32,
}
