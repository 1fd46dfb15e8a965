//! What may happen to a task: states, happenings, and the one function that decides.
//!
//! Invariant: `attempt` only grows. It is the fencing number: whoever holds an attempt names it in every report,
//! and a report that names another one changes nothing.

use crate::attempt::Outcome;

/// With so many attempts that ended together with the hive, a task is a dead letter.
pub const CRASHES_MAX: u32 = 3;

/// Where a task stands. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Not before `eligible_at`: delayed, or backing off after a failed attempt.
    Scheduled,
    /// Ready to be claimed.
    Queued,
    /// An attempt holds the lease.
    Working,
    /// Terminal: an attempt succeeded.
    Completed,
    /// Terminal: a dead letter; can be redriven.
    Failed,
    /// Terminal: canceled on request.
    Canceled,
}

impl TaskState {
    /// Every state, in the order of the stored numbers.
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Queued, Self::Working, Self::Completed, Self::Failed, Self::Canceled];

    /// The stored number.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Scheduled => 0,
            Self::Queued => 1,
            Self::Working => 2,
            Self::Completed => 3,
            Self::Failed => 4,
            Self::Canceled => 5,
        }
    }

    /// Reads a stored number back.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| Self::ALL.get(index).copied())
    }

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing moves it on by itself any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }
}

/// What a decision needs to know of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskStatus {
    /// Where it stands.
    pub state: TaskState,
    /// How many times it was claimed; the number of the present attempt while it works.
    pub attempt: u32,
    /// How many attempts count against `attempts_max`.
    pub failures: u32,
    /// How many failures make it a dead letter.
    pub attempts_max: u32,
    /// How many attempts ended with the hive that ran them.
    pub crashes: u32,
    /// Whether somebody asked to cancel it while it worked.
    pub is_cancel_requested: bool,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// `eligible_at` has come.
    Due,
    /// An agent takes it.
    Claimed,
    /// The holder of `attempt` reports success.
    Succeeded {
        /// The attempt that the report names.
        attempt: u32,
    },
    /// The holder of `attempt` reports failure.
    Failed {
        /// The attempt that the report names.
        attempt: u32,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// `attempt` ran longer than its start-to-close or heartbeat timeout.
    TimedOut {
        /// The attempt that the reaper saw.
        attempt: u32,
    },
    /// Nobody renewed the lease of `attempt`.
    LeaseLost {
        /// The attempt that the reaper saw.
        attempt: u32,
    },
    /// `attempt` is handed back in order; it is not charged.
    Interrupted {
        /// The attempt that is handed back.
        attempt: u32,
    },
    /// The hive that ran `attempt` ended without an end.
    Crashed {
        /// The attempt that was found.
        attempt: u32,
    },
    /// Somebody asks to cancel.
    CancelRequested {
        /// Whether to take the task from its holder at once.
        force: bool,
    },
    /// It waited longer than schedule-to-start or schedule-to-close allows.
    Expired,
    /// Somebody puts a dead letter back.
    Redriven,
}

/// What follows from a happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing changes: it was so already.
    Unchanged,
    /// The cancel request is noted; the holder is told and has the cancel grace to end.
    CancelNoted(TaskStatus),
    /// The task moves on.
    Moved {
        /// How it stands afterwards.
        status: TaskStatus,
        /// How the present attempt ended, where one did.
        outcome: Option<Outcome>,
        /// Whether the failure counts, so that the next try waits for its backoff.
        backs_off: bool,
    },
}

/// Why nothing can follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The report names an attempt that does not hold the task (any more).
    #[error("the attempt does not hold this task any more")]
    StaleAttempt,
    /// The state does not allow it.
    #[error("a task that is {} cannot do that", .0.as_str())]
    State(TaskState),
}

/// Decides what follows when `happening` meets a task in `status`. Pure and total.
///
/// # Errors
/// [`Refused`] when the state does not allow it or the attempt is stale; nothing changes then.
pub fn transition(status: TaskStatus, happening: Happening) -> Result<Next, Refused> {
    match happening {
        Happening::Due => due(status),
        Happening::Claimed => claimed(status),
        Happening::Succeeded { attempt } => {
            held_by(status, attempt)?;
            Ok(ended(status, TaskState::Completed, Outcome::Succeeded))
        }
        Happening::Failed { attempt, retryable } => {
            held_by(status, attempt)?;
            Ok(charged(status, Outcome::Failed, retryable))
        }
        Happening::TimedOut { attempt } => {
            held_by(status, attempt)?;
            Ok(charged(status, Outcome::TimedOut, true))
        }
        Happening::LeaseLost { attempt } => {
            held_by(status, attempt)?;
            Ok(charged(status, Outcome::LeaseLost, true))
        }
        Happening::Interrupted { attempt } => {
            held_by(status, attempt)?;
            Ok(handed_back(status))
        }
        Happening::Crashed { attempt } => {
            held_by(status, attempt)?;
            Ok(crashed(status))
        }
        Happening::CancelRequested { force } => cancel_requested(status, force),
        Happening::Expired => expired(status),
        Happening::Redriven => redriven(status),
    }
}

fn due(status: TaskStatus) -> Result<Next, Refused> {
    match status.state {
        TaskState::Scheduled => Ok(moved(TaskStatus { state: TaskState::Queued, ..status })),
        TaskState::Queued
        | TaskState::Working
        | TaskState::Completed
        | TaskState::Failed
        | TaskState::Canceled => Err(Refused::State(status.state)),
    }
}

fn claimed(status: TaskStatus) -> Result<Next, Refused> {
    match status.state {
        TaskState::Queued => Ok(moved(TaskStatus {
            state: TaskState::Working,
            attempt: status.attempt.saturating_add(1),
            ..status
        })),
        TaskState::Scheduled
        | TaskState::Working
        | TaskState::Completed
        | TaskState::Failed
        | TaskState::Canceled => Err(Refused::State(status.state)),
    }
}

fn cancel_requested(status: TaskStatus, force: bool) -> Result<Next, Refused> {
    match status.state {
        TaskState::Scheduled | TaskState::Queued => {
            Ok(moved(TaskStatus { state: TaskState::Canceled, is_cancel_requested: true, ..status }))
        }
        TaskState::Working if force => Ok(ended(
            TaskStatus { is_cancel_requested: true, ..status },
            TaskState::Canceled,
            Outcome::Canceled,
        )),
        TaskState::Working if status.is_cancel_requested => Ok(Next::Unchanged),
        TaskState::Working => Ok(Next::CancelNoted(TaskStatus { is_cancel_requested: true, ..status })),
        TaskState::Canceled => Ok(Next::Unchanged),
        TaskState::Completed | TaskState::Failed => Err(Refused::State(status.state)),
    }
}

fn expired(status: TaskStatus) -> Result<Next, Refused> {
    match status.state {
        TaskState::Scheduled | TaskState::Queued => {
            Ok(moved(TaskStatus { state: TaskState::Failed, ..status }))
        }
        TaskState::Working | TaskState::Completed | TaskState::Failed | TaskState::Canceled => {
            Err(Refused::State(status.state))
        }
    }
}

fn redriven(status: TaskStatus) -> Result<Next, Refused> {
    match status.state {
        TaskState::Failed => Ok(moved(TaskStatus {
            state: TaskState::Queued,
            failures: 0,
            crashes: 0,
            is_cancel_requested: false,
            ..status
        })),
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Working
        | TaskState::Completed
        | TaskState::Canceled => Err(Refused::State(status.state)),
    }
}

/// A report counts only from the present holder.
fn held_by(status: TaskStatus, attempt: u32) -> Result<(), Refused> {
    if status.state == TaskState::Working && status.attempt == attempt {
        Ok(())
    } else {
        Err(Refused::StaleAttempt)
    }
}

/// An attempt ended badly and counts: try again, or a dead letter, or canceled when that was asked.
fn charged(status: TaskStatus, outcome: Outcome, retryable: bool) -> Next {
    if status.is_cancel_requested {
        return ended(status, TaskState::Canceled, Outcome::Canceled);
    }
    let failures = status.failures.saturating_add(1);
    let status = TaskStatus { failures, ..status };
    if !retryable || failures >= status.attempts_max {
        return ended(status, TaskState::Failed, outcome);
    }
    Next::Moved {
        status: TaskStatus { state: TaskState::Scheduled, ..status },
        outcome: Some(outcome),
        backs_off: true,
    }
}

fn handed_back(status: TaskStatus) -> Next {
    if status.is_cancel_requested {
        ended(status, TaskState::Canceled, Outcome::Canceled)
    } else {
        ended(status, TaskState::Queued, Outcome::Interrupted)
    }
}

/// Nobody is to blame yet; but a task under which the hive ends again and again must not go on.
fn crashed(status: TaskStatus) -> Next {
    if status.is_cancel_requested {
        return ended(status, TaskState::Canceled, Outcome::Canceled);
    }
    let status = TaskStatus { crashes: status.crashes.saturating_add(1), ..status };
    let state = if status.crashes >= CRASHES_MAX { TaskState::Failed } else { TaskState::Queued };
    ended(status, state, Outcome::Crashed)
}

fn ended(status: TaskStatus, state: TaskState, outcome: Outcome) -> Next {
    Next::Moved { status: TaskStatus { state, ..status }, outcome: Some(outcome), backs_off: false }
}

fn moved(status: TaskStatus) -> Next {
    Next::Moved { status, outcome: None, backs_off: false }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
