//! What can go wrong for a caller of an actor, and for who starts one.

use std::sync::Arc;
use std::time::Duration;

/// Why a message was not taken, or not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing was queued: try again later, or refuse the work.
    #[error("the mailbox of {path} is full with {capacity} messages")]
    Full {
        /// The actor.
        path: Arc<str>,
        /// Its bound, in messages.
        capacity: usize,
    },
    /// The actor is not started, is stopping, or is gone for good.
    #[error("{path} does not take messages")]
    Closed {
        /// The actor.
        path: Arc<str>,
    },
    /// The handler of this very message, or its future, panicked. Whether it had an effect is unknown.
    #[error("{path} panicked: {text}")]
    Panicked {
        /// The actor.
        path: Arc<str>,
        /// What the panic said.
        text: Arc<str>,
    },
    /// The actor failed or was restarted while it worked on the answer. Whether it had an effect is unknown.
    #[error("{path} ended before it answered")]
    Interrupted {
        /// The actor.
        path: Arc<str>,
    },
    /// No answer in the time the caller gave. A message that still waits in the mailbox is skipped.
    #[error("{path} did not answer within {within:?}")]
    TimedOut {
        /// The actor.
        path: Arc<str>,
        /// The time the caller gave.
        within: Duration,
    },
}

/// Why a child was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A sibling of that id lives.
    #[error("{path} is already started")]
    AlreadyStarted {
        /// The sibling.
        path: Arc<str>,
    },
    /// The supervisor is not started, is restarting, stopping, or gone.
    #[error("supervisor {path} does not take children")]
    NotRunning {
        /// The supervisor.
        path: Arc<str>,
    },
    /// The supervisor has as many children as its spec allows.
    #[error("supervisor {path} is full with {max} children")]
    Full {
        /// The supervisor.
        path: Arc<str>,
        /// Its bound.
        max: usize,
    },
    /// Children of `one_for_all` and `rest_for_one` belong into the spec: their order is part of it.
    #[error("supervisor {path} takes no children at run time")]
    NotDynamic {
        /// The supervisor.
        path: Arc<str>,
    },
    /// An id is a part of a path: not empty, without a slash.
    #[error("{id:?} cannot be a child's id")]
    InvalidId {
        /// What was given.
        id: Arc<str>,
    },
    /// The thread the child belongs on has ended, or could not be created.
    #[error("the thread for {path} cannot be had")]
    NoThread {
        /// The child.
        path: Arc<str>,
    },
}
