//! Why a command ends badly: one sentence for people, a hint what to do, and the exit code.

use client::Error;
use protocol::{ProblemCode, ProblemDetails};

use crate::exit::Exit;

/// The end of a command that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the shell learns.
    pub exit: Exit,
    /// What went wrong; empty when there is nothing to say.
    pub message: String,
    /// What may help.
    pub hint: Option<String>,
}

impl Failure {
    /// Without a hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The command line is wrong.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same with a hint, unless there is one.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// An error of the surroundings, with its causes.
    #[must_use]
    pub fn surroundings(error: &dyn std::error::Error) -> Self {
        Self::new(Exit::Environment, with_causes(error))
    }
}

/// An error and its causes in one line; causes that the text repeats are left out.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// The cause of all causes: what the system said, without the layers it came through.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Output that nobody reads any more is no mistake; output that cannot be written is.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::new(Exit::Fine, "")
        } else {
            Self::new(Exit::Environment, format!("cannot write the output: {error}"))
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Problem { problem, .. } => Self::new(exit_of(problem.code), told(problem)),
            Error::Unreachable { url, is_timeout: true, .. } => {
                Self::new(Exit::Unreachable, format!("the hive at {url} did not answer in time"))
            }
            Error::Unreachable { cause, .. } => {
                Self::new(Exit::Unreachable, format!("{error}: {}", innermost(cause)))
            }
            // The codes of sessions whose token, role or operator is against them.
            Error::Ended { code: Some(4401 | 4403), .. } => Self::new(Exit::Denied, error.to_string()),
            Error::Ended { .. } | Error::Unexpected { .. } => Self::new(Exit::Unreachable, error.to_string()),
            Error::Unusable { .. } => Self::usage(error.to_string()),
        }
    }
}

/// The exit code of each problem; a new code must be placed here.
#[must_use]
pub const fn exit_of(code: ProblemCode) -> Exit {
    match code {
        ProblemCode::Unauthorized | ProblemCode::Forbidden => Exit::Denied,
        ProblemCode::NotFound => Exit::NotFound,
        ProblemCode::StaleLease | ProblemCode::StateConflict | ProblemCode::UniqueConflict => Exit::Conflict,
        ProblemCode::MalformedJson
        | ProblemCode::UnknownField
        | ProblemCode::InvalidValue
        | ProblemCode::IdempotencyMismatch
        | ProblemCode::PayloadTooLarge
        | ProblemCode::QueueFull
        | ProblemCode::RateLimited => Exit::Refused,
        ProblemCode::Overloaded | ProblemCode::StoreUnavailable | ProblemCode::NotReady => Exit::Unavailable,
        ProblemCode::Internal => Exit::Internal,
    }
}

fn told(problem: &ProblemDetails) -> String {
    let mut text = if problem.detail.is_empty() { problem.title.clone() } else { problem.detail.clone() };
    for error in &problem.errors {
        text = format!("{text}\n  {} {}", error.field, error.message);
    }
    if problem.code == ProblemCode::Internal {
        text = format!("{text} (the hive's log has more under correlation id {})", problem.correlation_id);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::FieldError;

    fn problem(code: ProblemCode) -> Error {
        let problem = ProblemDetails {
            type_uri: code.type_uri().into(),
            title: code.title().into(),
            status: 400,
            detail: "the task is against the rules".into(),
            instance: "/api/v2/tasks".into(),
            code,
            correlation_id: "c1".into(),
            errors: vec![FieldError { field: "priority".into(), message: "must be from 0 to 9".into() }],
        };
        Error::Problem { problem: Box::new(problem), retry_after: None }
    }

    #[test]
    fn every_problem_has_the_exit_code_of_the_table() {
        let codes: Vec<_> = ProblemCode::ALL
            .iter()
            .map(|code| (code.as_str(), Failure::from(problem(*code)).exit.code()))
            .collect();
        assert_eq!(
            codes,
            [
                ("malformed_json", 8),
                ("unknown_field", 8),
                ("invalid_value", 8),
                ("idempotency_mismatch", 8),
                ("unauthorized", 4),
                ("forbidden", 4),
                ("not_found", 5),
                ("stale_lease", 6),
                ("state_conflict", 6),
                ("unique_conflict", 6),
                ("payload_too_large", 8),
                ("queue_full", 8),
                ("rate_limited", 8),
                ("overloaded", 9),
                ("store_unavailable", 9),
                ("not_ready", 9),
                ("internal", 70),
            ]
        );
    }

    #[test]
    fn a_refusal_names_every_field_on_its_own_line() {
        let failure = Failure::from(problem(ProblemCode::InvalidValue));
        assert_eq!(failure.message, "the task is against the rules\n  priority must be from 0 to 9");
    }

    #[test]
    fn a_reader_that_went_away_is_a_quiet_end() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(failure, Failure::new(Exit::Fine, ""));
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(full.exit, Exit::Environment);
    }
}
