//! What can go wrong between a caller and the hive.

use std::time::Duration;

use protocol::ProblemDetails;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hive answered that it will not or cannot.
    #[error("{}", .problem.detail)]
    Problem {
        /// What it said.
        problem: Box<ProblemDetails>,
        /// When to try again, where it said so.
        retry_after: Option<Duration>,
    },
    /// Nobody answers at this address, or not in time. Whether a write took effect is not known.
    #[error("no hive answers at {url}")]
    Unreachable {
        /// The address that was tried.
        url: String,
        /// Whether the time was over, in contrast to a connection that was refused or broke.
        is_timeout: bool,
        /// What happened.
        #[source]
        cause: reqwest::Error,
    },
    /// A session over WebSocket has ended, or broke.
    #[error("the session with {url} ended: {why}")]
    Ended {
        /// The address it was with.
        url: String,
        /// The close code, where there was one.
        code: Option<u16>,
        /// The reason that was given, or what broke.
        why: String,
    },
    /// Somebody answers, but not as a hive does.
    #[error("{url} does not answer like a hive: {what}")]
    Unexpected {
        /// The address that was called.
        url: String,
        /// What is odd about the answer.
        what: String,
    },
    /// The address or the token cannot be used at all.
    #[error("cannot use {what}: {why}")]
    Unusable {
        /// What was given; never the token itself.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Error {
    /// The HTTP status, where the hive answered with a problem.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem { problem, .. } => Some(problem.status),
            Self::Unreachable { .. }
            | Self::Ended { .. }
            | Self::Unexpected { .. }
            | Self::Unusable { .. } => None,
        }
    }
}
