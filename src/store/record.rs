//! What readers give back: rows joined and understood, in domain types.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{
    AgentId, AttemptError, Backoff, Event, Labels, LaneId, Name, Outcome, TaskId, TaskState, TaskStatus,
    TenantId, Timeouts, Timestamp, Usage, WorkspaceReport,
};

/// A task without its input and result.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub title: String,
    /// What sort of work it is.
    pub kind: Option<Name>,
    /// Its lane.
    pub lane: LaneId,
    /// The lane's queue.
    pub queue: Name,
    /// The lane's requirements.
    pub requires: BTreeSet<Name>,
    /// The one agent that may take it.
    pub pinned: Option<AgentId>,
    /// 0 to 9.
    pub priority: u8,
    /// Its labels.
    pub labels: Labels,
    /// State, attempt, failures and so on.
    pub status: TaskStatus,
    /// Who holds it, or held it last.
    pub agent: Option<AgentId>,
    /// When it becomes ready, while it is scheduled.
    pub eligible_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    pub finished_at: Option<Timestamp>,
    /// When the present lease expires.
    pub lease_expires_at: Option<Timestamp>,
    /// Why the last ended attempt failed, or why the task expired while it waited.
    pub error: Option<AttemptError>,
    /// What the last ended attempt cost.
    pub usage: Option<Usage>,
    /// How long it waits between attempts.
    pub backoff: Backoff,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What ties log lines and events of the submitting request together.
    pub correlation_id: Arc<str>,
    /// Who asked.
    pub created_by: String,
}

/// A task with its input and result, both JSON byte for byte as they came.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskDetail {
    /// All but input and result.
    pub record: TaskRecord,
    /// The input.
    pub input: Option<Arc<str>>,
    /// The result, once completed.
    pub result: Option<Arc<str>>,
}

/// One try at a task.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// Its number, 1-based.
    pub attempt: u32,
    /// Who held it.
    pub agent: Option<AgentId>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` for the present one.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` for the present one.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// What it left in its workspace.
    pub workspace: Option<WorkspaceReport>,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Of which attempt.
    pub attempt: u32,
    /// Its place within the attempt, 1-based.
    pub chunk: u32,
    /// When it was stored.
    pub at: Timestamp,
    /// The text.
    pub text: String,
    /// Whether output after this piece was cut.
    pub is_truncated: bool,
}

/// A working attempt, as needed to take up work after a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// From which lane it came.
    pub lane: LaneId,
    /// Who holds it.
    pub agent: AgentId,
    /// When it began.
    pub started_at: Timestamp,
    /// When the lease expires.
    pub lease_expires_at: Timestamp,
    /// How long the lease lasts without a heartbeat, in milliseconds.
    pub lease_ttl_ms: u64,
    /// Whether the holder should end.
    pub is_cancel_requested: bool,
}

/// What is stored of a queue; a queue without a row is not paused and has no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: Name,
    /// Whether it hands out nothing.
    pub is_paused: bool,
    /// Most tasks of it that are worked on at a time.
    pub concurrency_limit: Option<u32>,
}

/// An event together with its queue's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// The queue of the event's lane.
    pub queue: Option<Name>,
}

/// A stored projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The last event that is folded into it.
    pub seq: i64,
    /// As the feed serialized it.
    pub projection: Arc<[u8]>,
}

/// What a node did from `since` on, within one minute or one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformanceRecord {
    /// The length of the span that it belongs to, in seconds: 60 or 3,600.
    pub span_s: u32,
    /// When the counting began: the beginning of the span, or of the node's process within it.
    pub since: Timestamp,
    /// Which node.
    pub node: u16,
    /// How often.
    pub counts: PerformanceCounts,
    /// How long requests took, in microseconds: a histogram in HdrHistogram's V2 encoding.
    pub request_us: Arc<[u8]>,
    /// How long tasks were ready before an attempt began, likewise.
    pub wait_us: Arc<[u8]>,
    /// How long attempts ran, likewise.
    pub run_us: Arc<[u8]>,
}

impl PerformanceRecord {
    /// Bytes that vary.
    pub(crate) fn bytes(&self) -> usize {
        self.request_us.len() + self.wait_us.len() + self.run_us.len()
    }
}

/// How often things happened within a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerformanceCounts {
    /// Requests that were answered.
    pub requests: u64,
    /// Those of them that were answered with a status from 500 on.
    pub errors: u64,
    /// Tasks that were accepted.
    pub submitted: u64,
    /// Attempts that began.
    pub started: u64,
    /// Tasks that were completed.
    pub completed: u64,
    /// Attempts that ended badly and are followed by another one.
    pub retried: u64,
    /// Tasks that became dead letters.
    pub failed: u64,
}

/// Which tasks a list shows. `None` and empty do not filter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskFilter {
    /// In this state (by index).
    pub state: Option<TaskState>,
    /// In this queue (by index).
    pub queue: Option<Name>,
    /// Held (now or last) by this agent.
    pub agent: Option<AgentId>,
    /// Of this kind.
    pub kind: Option<Name>,
    /// With all these labels.
    pub labels: Vec<(Name, String)>,
    /// Accepted after this moment.
    pub created_after: Option<Timestamp>,
    /// Accepted before this moment.
    pub created_before: Option<Timestamp>,
}

/// A page of a list, newest first by id.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPage {
    /// The tasks.
    pub items: Vec<TaskRecord>,
    /// Where the next page begins: below this id. `None` at the end.
    pub next_before: Option<TaskId>,
}
