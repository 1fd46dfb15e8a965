//! Fault drills: a panic on demand, where a bug's would be.

/// How a drilled actor fails. A thread fails at its next checkpoint, whichever is asked for. A supervisor panics itself
/// (in a handler), or escalates (in a future, as it has none).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The handler of a message panics.
    PanicInHandler,
    /// The future that would bring an answer panics.
    PanicInFuture,
}

impl Fault {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::PanicInHandler => 1,
            Self::PanicInFuture => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::PanicInHandler),
            2 => Some(Self::PanicInFuture),
            _ => None,
        }
    }

    /// Panics, as a bug would.
    #[expect(clippy::panic, reason = "a drill that did anything else would prove nothing")]
    pub(crate) fn commit(self) -> ! {
        std::panic::panic_any(match self {
            Self::PanicInHandler => "fault drill: panic in handler",
            Self::PanicInFuture => "fault drill: panic in future",
        })
    }
}

/// No live actor has this path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no actor {path:?}")]
pub struct UnknownActor {
    /// The path that was asked for.
    pub path: String,
}
