//! One try at a task: how it ended, with what error, at what cost.

/// How an attempt ended. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The holder reported success.
    Succeeded,
    /// The holder reported failure.
    Failed,
    /// It ran into start-to-close or heartbeat.
    TimedOut,
    /// Nobody renewed its lease.
    LeaseLost,
    /// It ended after a cancel request, or was killed.
    Canceled,
    /// It was handed back in order, uncharged.
    Interrupted,
    /// The hive that ran it ended without an end; uncharged, but counted in `crashes`.
    Crashed,
}

impl Outcome {
    /// Every outcome, in the order of the stored numbers.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::LeaseLost,
        Self::Canceled,
        Self::Interrupted,
        Self::Crashed,
    ];

    /// The stored number.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::TimedOut => 2,
            Self::LeaseLost => 3,
            Self::Canceled => 4,
            Self::Interrupted => 5,
            Self::Crashed => 6,
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
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::LeaseLost => "lease_lost",
            Self::Canceled => "canceled",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
        }
    }
}

/// Longest error kind, in characters.
pub const ERROR_KIND_CHARS_MAX: usize = 64;
/// Longest error message, in bytes; more is cut at a character boundary.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// What went wrong in an attempt, as its holder or the hive tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptError {
    /// A short word programs can act on, like `lease_lost` or `rate_limited`.
    pub kind: String,
    /// A sentence for people.
    pub message: String,
}

impl AttemptError {
    /// An error that the hive itself states.
    #[must_use]
    pub fn stated(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }
}

/// What an attempt cost, as far as its holder says.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Tokens read by models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens written by models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Money, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Processor time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Highest resident memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
}

impl Usage {
    /// Whether nothing is said at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a holder reports at the end of its attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It succeeded.
    Succeeded {
        /// The result as JSON, byte for byte as it came.
        result: Option<String>,
        /// What it cost.
        usage: Option<Usage>,
    },
    /// It failed.
    Failed {
        /// Why.
        error: AttemptError,
        /// Whether trying again may help.
        retryable: bool,
        /// What it cost all the same.
        usage: Option<Usage>,
    },
    /// It took longer than it may.
    TimedOut {
        /// Which time.
        error: AttemptError,
        /// What it cost all the same.
        usage: Option<Usage>,
    },
    /// It is handed back unstarted or undone, uncharged.
    HandedBack {
        /// Why, for the record.
        reason: &'static str,
        /// What it cost all the same.
        usage: Option<Usage>,
    },
}

impl Report {
    /// What the attempt cost, as far as the report says it.
    pub const fn usage_mut(&mut self) -> &mut Option<Usage> {
        match self {
            Self::Succeeded { usage, .. }
            | Self::Failed { usage, .. }
            | Self::TimedOut { usage, .. }
            | Self::HandedBack { usage, .. } => usage,
        }
    }
}

/// Longest diff that is kept of a workspace, in bytes; the rest is cut.
pub const DIFF_BYTES_MAX: usize = 64 * 1024;

/// What an attempt left in its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct WorkspaceReport {
    /// Where it is, or was.
    pub path: String,
    /// Its branch; `None` where it is no worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that it began from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The commit that it ended on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// How many files differ from the base: committed, edited or new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_changed: Option<u64>,
    /// The difference from the base as `git diff` shows it, new files included, at most [`DIFF_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Whether it is still there.
    pub is_kept: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_numbers_survive_the_round_trip() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
        }
        assert_eq!(Outcome::from_code(7), None);
        assert_eq!(Outcome::from_code(-1), None);
    }
}
