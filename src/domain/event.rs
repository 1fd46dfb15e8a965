//! Events: facts stored in the same commit as the change they tell of. Past tense, immutable, in commit order.

use std::sync::Arc;

use crate::id::{AgentId, LaneId, TaskId, TenantId};
use crate::task::TaskState;
use crate::time::Timestamp;

/// Largest `data` of an event, in bytes of JSON.
pub const DATA_BYTES_MAX: usize = 512;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal,)*) => {
        /// What happened. The words are stored and are the wire form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }

            /// Reads a word back.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// A task was accepted.
    TaskSubmitted = "task.submitted",
    /// Its delay or backoff is over.
    TaskQueued = "task.queued",
    /// An agent claimed it.
    TaskStarted = "task.started",
    /// An attempt succeeded.
    TaskCompleted = "task.completed",
    /// It is a dead letter.
    TaskFailed = "task.failed",
    /// An attempt ended badly; another one follows.
    TaskRetrying = "task.retrying",
    /// An attempt was handed back uncharged.
    TaskReleased = "task.released",
    /// Somebody asked to cancel it while it works.
    TaskCancelRequested = "task.cancel_requested",
    /// It was canceled.
    TaskCanceled = "task.canceled",
    /// A dead letter was put back.
    TaskRedriven = "task.redriven",
    /// Its priority or labels were changed.
    TaskUpdated = "task.updated",
    /// An agent was registered.
    AgentRegistered = "agent.registered",
    /// An agent was changed by its owner.
    AgentUpdated = "agent.updated",
    /// An agent drains, resumes, or was observed to do better or worse.
    AgentStateChanged = "agent.state_changed",
    /// An agent was removed.
    AgentRemoved = "agent.removed",
    /// A queue hands out nothing any more.
    QueuePaused = "queue.paused",
    /// A queue hands out tasks again.
    QueueResumed = "queue.resumed",
    /// Another number of tasks of a queue may be worked on at a time.
    QueueUpdated = "queue.updated",
    /// An API key was made.
    AuthKeyCreated = "auth.key_created",
    /// An API key was removed: it opens nothing any more.
    AuthKeyRemoved = "auth.key_removed",
    /// The hive started.
    SystemStarted = "system.started",
    /// An actor was restarted by its supervisor.
    SystemActorRestarted = "system.actor_restarted",
    /// Terminal tasks past their retention were removed.
    SystemTasksRetired = "system.tasks_retired",
}

/// How an event moves a task from state to state; what the fold counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// From where; `None` for a task that is new.
    pub from: Option<TaskState>,
    /// To where.
    pub to: TaskState,
    /// The priority before, where that changed.
    pub priority_from: Option<u8>,
}

/// One committed fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log: gapless, from 1, in commit order.
    pub seq: i64,
    /// When it was committed.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// What happened.
    pub kind: EventKind,
    /// To which task.
    pub task: Option<TaskId>,
    /// To or by which agent.
    pub agent: Option<AgentId>,
    /// Which attempt.
    pub attempt: Option<u32>,
    /// In which lane.
    pub lane: Option<LaneId>,
    /// The task's priority, after the event.
    pub priority: Option<u8>,
    /// The request that caused it.
    pub correlation_id: Arc<str>,
    /// How it moves the task.
    pub moved: Option<Move>,
    /// More, as a JSON object of at most [`DATA_BYTES_MAX`] bytes; made once, the wire form.
    pub data: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_round_trip() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::from_word("task.exploded"), None);
    }
}
