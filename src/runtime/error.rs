//! Why the runtime did not do what it was asked.

use domain::Name;
use store::error::{ReadError, WriteError};
use supervision::{CallError, StartError};

/// Why a call was not answered with an outcome. [`Error::Crashed`], [`Error::Late`] and [`Error::Unavailable`] leave open
/// whether it was written: repeating a call is safe with an idempotency key. The others mean that nothing was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A mailbox or the writer's queue is full.
    #[error("the hive has more to do than it may queue")]
    Overloaded,
    /// As many tasks wait in the queue as may.
    #[error("queue {queue} holds {max} waiting tasks, which is its limit")]
    QueueFull {
        /// Which queue.
        queue: Name,
        /// Its limit, in tasks.
        max: u64,
    },
    /// The hive starts or drains.
    #[error("the hive is {0}")]
    NotReady(&'static str),
    /// A lease call for an agent whose processes the hive starts itself.
    #[error("the hive starts this agent's processes itself; only workers lease")]
    NotAWorker,
    /// What processes leave on disk cannot be read or changed.
    #[error("a workspace cannot be read or changed: {0}")]
    Workspace(String),
    /// The store cannot be reached.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The database refuses this one command.
    #[error("the database refuses it: {0}")]
    Refused(String),
    /// The actor ended while it worked on the call.
    #[error("the call was interrupted: {0}")]
    Crashed(String),
    /// No answer within the time that a caller may be kept waiting.
    #[error("no answer in time")]
    Late,
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Overloaded => Self::Overloaded,
            WriteError::Unavailable(why) | WriteError::NotBegun(why) => Self::Unavailable(why),
            WriteError::Refused(why) => Self::Refused(why),
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Full { .. } => Self::Overloaded,
            CallError::Closed { .. } => Self::NotReady("restarting a part of itself"),
            CallError::Panicked { .. } | CallError::Interrupted { .. } => Self::Crashed(error.to_string()),
            CallError::TimedOut { .. } => Self::Late,
        }
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
