//! The one place where what went wrong becomes a status code and a code word.
//!
//! Invariant: every match is exhaustive; a new error does not compile until somebody decides what it means here.
//!
//! Invariant: what a user reads says nothing of our inside; causes go to the log, under the correlation id.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use domain::{Role, TaskId, TaskState, Violation, Violations};
use protocol::{FieldError, ProblemCode, ProblemDetails, Unreadable};

use crate::allowed::Right;

/// Seconds after which somebody who met a full queue may try again.
const RETRY_FULL_SECONDS: u32 = 1;
/// Seconds after which somebody who met a hive that is not ready may try again.
const RETRY_NOT_READY_SECONDS: u32 = 2;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Malformed(String),
    #[error("the request has unknown fields")]
    UnknownField(Violations),
    #[error("the request is against the rules")]
    InvalidValue(Violations),
    #[error("the database refuses it")]
    Refused { cause: String },
    #[error("this idempotency key was used with another body before")]
    IdempotencyMismatch,
    #[error("a valid token is required, as `Authorization: Bearer …`")]
    Unauthorized,
    #[error("{} needs the role {}, and yours is {role}", .right.what(), .right.roles())]
    Forbidden { right: Right, role: Role },
    #[error("pages of this origin may not connect; `websocket.allowed_origins` names those that may")]
    OriginNotAllowed,
    #[error("there are {max} sessions of this principal, as many as there may be")]
    TooManySessions { max: usize },
    #[error("there is no {what} {name}")]
    NotFound { what: &'static str, name: String },
    #[error("there is no such route")]
    NoSuchRoute,
    #[error("this route knows only {allowed}")]
    NoSuchMethod { allowed: &'static str },
    #[error("attempt {attempt} does not hold the task any more; drop what it does")]
    StaleLease { attempt: u32 },
    #[error("a task that is {} cannot do that", .0.as_str())]
    StateConflict(TaskState),
    #[error("the hive starts this agent's processes itself; only workers lease")]
    NotAWorker,
    #[error("an agent is called {0} already")]
    NameTaken(String),
    #[error("{0} has this unique key")]
    KeyTaken(TaskId),
    #[error("an API key is called {0} already")]
    KeyNameTaken(String),
    #[error("there are {max} API keys, as many as there may be; remove one first")]
    TooManyKeys { max: u32 },
    #[error("the head of the request did not arrive in time")]
    HeadLate,
    #[error("the body of the request did not arrive in time")]
    BodyLate,
    #[error("the head of a request may have at most 96 fields and 131072 bytes")]
    HeadTooLarge,
    #[error("the body may have at most {bytes_max} bytes")]
    PayloadTooLarge { bytes_max: usize },
    #[error("{0}")]
    QueueFull(String),
    #[error("this key asks more often than it may")]
    RateLimited { retry_after_s: u32 },
    #[error("the hive has more to do than it may queue; nothing was written")]
    Overloaded,
    #[error("no answer in time; whether it was written is not known")]
    FateUnknown { cause: String },
    #[error("the store is not available; nothing was acknowledged")]
    StoreUnavailable { cause: String },
    #[error("the hive is {0}")]
    NotReady(&'static str),
    #[error("the stored {what} cannot be understood and is left alone; `hive doctor` and the log say why")]
    Quarantined { what: String, cause: String },
    #[error("something went wrong inside the hive; its log has more under this correlation id")]
    Internal { cause: String },
}

impl Problem {
    /// One broken rule.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::InvalidValue(Violations::one(field, message))
    }

    /// There is none of that name.
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    /// The word of the closed list.
    pub(crate) const fn code(&self) -> ProblemCode {
        match self {
            Self::Malformed(_) | Self::HeadLate | Self::BodyLate => ProblemCode::MalformedJson,
            Self::UnknownField(_) => ProblemCode::UnknownField,
            Self::InvalidValue(_) | Self::Refused { .. } => ProblemCode::InvalidValue,
            Self::IdempotencyMismatch => ProblemCode::IdempotencyMismatch,
            Self::Unauthorized => ProblemCode::Unauthorized,
            Self::Forbidden { .. } | Self::OriginNotAllowed => ProblemCode::Forbidden,
            Self::NotFound { .. } | Self::NoSuchRoute | Self::NoSuchMethod { .. } => ProblemCode::NotFound,
            Self::StaleLease { .. } => ProblemCode::StaleLease,
            Self::StateConflict(_) | Self::NotAWorker | Self::TooManyKeys { .. } => {
                ProblemCode::StateConflict
            }
            Self::NameTaken(_) | Self::KeyNameTaken(_) | Self::KeyTaken(_) => ProblemCode::UniqueConflict,
            Self::PayloadTooLarge { .. } | Self::HeadTooLarge => ProblemCode::PayloadTooLarge,
            Self::QueueFull(_) => ProblemCode::QueueFull,
            Self::RateLimited { .. } | Self::TooManySessions { .. } => ProblemCode::RateLimited,
            Self::Overloaded | Self::FateUnknown { .. } => ProblemCode::Overloaded,
            Self::StoreUnavailable { .. } => ProblemCode::StoreUnavailable,
            Self::NotReady(_) => ProblemCode::NotReady,
            Self::Quarantined { .. } | Self::Internal { .. } => ProblemCode::Internal,
        }
    }

    /// The HTTP status. The code word alone decides it, but where HTTP has a status for one special case.
    pub(crate) const fn status(&self) -> StatusCode {
        if let Self::NoSuchMethod { .. } = self {
            return StatusCode::METHOD_NOT_ALLOWED;
        }
        if let Self::HeadLate | Self::BodyLate = self {
            return StatusCode::REQUEST_TIMEOUT;
        }
        if let Self::HeadTooLarge = self {
            return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        }
        status_of(self.code())
    }

    /// After how many seconds trying again makes sense.
    const fn retry_after(&self) -> Option<u32> {
        if let Self::RateLimited { retry_after_s } = self {
            return Some(*retry_after_s);
        }
        match self.code() {
            ProblemCode::Overloaded | ProblemCode::QueueFull | ProblemCode::RateLimited => {
                Some(RETRY_FULL_SECONDS)
            }
            ProblemCode::StoreUnavailable | ProblemCode::NotReady => Some(RETRY_NOT_READY_SECONDS),
            ProblemCode::MalformedJson
            | ProblemCode::UnknownField
            | ProblemCode::InvalidValue
            | ProblemCode::IdempotencyMismatch
            | ProblemCode::Unauthorized
            | ProblemCode::Forbidden
            | ProblemCode::NotFound
            | ProblemCode::StaleLease
            | ProblemCode::StateConflict
            | ProblemCode::UniqueConflict
            | ProblemCode::PayloadTooLarge
            | ProblemCode::Internal => None,
        }
    }

    /// What only the log may know.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self {
            Self::Refused { cause }
            | Self::FateUnknown { cause }
            | Self::StoreUnavailable { cause }
            | Self::Quarantined { cause, .. }
            | Self::Internal { cause } => Some(cause),
            Self::Malformed(_)
            | Self::UnknownField(_)
            | Self::InvalidValue(_)
            | Self::IdempotencyMismatch
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::OriginNotAllowed
            | Self::TooManySessions { .. }
            | Self::NotFound { .. }
            | Self::NoSuchRoute
            | Self::NoSuchMethod { .. }
            | Self::StaleLease { .. }
            | Self::StateConflict(_)
            | Self::NotAWorker
            | Self::NameTaken(_)
            | Self::KeyTaken(_)
            | Self::KeyNameTaken(_)
            | Self::TooManyKeys { .. }
            | Self::HeadLate
            | Self::BodyLate
            | Self::HeadTooLarge
            | Self::PayloadTooLarge { .. }
            | Self::QueueFull(_)
            | Self::RateLimited { .. }
            | Self::Overloaded
            | Self::NotReady(_) => None,
        }
    }

    /// As it stands in a body.
    pub(crate) fn details(&self, instance: &str, correlation_id: &str) -> ProblemDetails {
        let code = self.code();
        ProblemDetails {
            type_uri: code.type_uri().to_owned(),
            title: code.title().to_owned(),
            status: self.status().as_u16(),
            detail: self.to_string(),
            instance: instance.to_owned(),
            code,
            correlation_id: correlation_id.to_owned(),
            errors: self.errors(),
        }
    }

    fn errors(&self) -> Vec<FieldError> {
        match self {
            Self::UnknownField(Violations(broken)) | Self::InvalidValue(Violations(broken)) => {
                broken.iter().cloned().map(|violation: Violation| violation.into()).collect()
            }
            Self::Malformed(_)
            | Self::Refused { .. }
            | Self::IdempotencyMismatch
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::OriginNotAllowed
            | Self::TooManySessions { .. }
            | Self::NotFound { .. }
            | Self::NoSuchRoute
            | Self::NoSuchMethod { .. }
            | Self::StaleLease { .. }
            | Self::StateConflict(_)
            | Self::NotAWorker
            | Self::NameTaken(_)
            | Self::KeyTaken(_)
            | Self::KeyNameTaken(_)
            | Self::TooManyKeys { .. }
            | Self::HeadLate
            | Self::BodyLate
            | Self::HeadTooLarge
            | Self::PayloadTooLarge { .. }
            | Self::QueueFull(_)
            | Self::RateLimited { .. }
            | Self::Overloaded
            | Self::FateUnknown { .. }
            | Self::StoreUnavailable { .. }
            | Self::NotReady(_)
            | Self::Quarantined { .. }
            | Self::Internal { .. } => Vec::new(),
        }
    }

    /// The whole response.
    pub(crate) fn respond(&self, instance: &str, correlation_id: &str) -> HttpResponse {
        let details = self.details(instance, correlation_id);
        let mut response = HttpResponse::build(self.status());
        response.content_type(protocol::problem::MEDIA_TYPE);
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if let Self::Unauthorized = self {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Self::NoSuchMethod { allowed } = self {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allowed)));
        }
        // A struct of texts and numbers always serializes.
        response.body(serde_json::to_vec(&details).unwrap_or_default())
    }

    /// What actix itself refused, in our words.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 | 405 => Self::NoSuchRoute,
            400..=499 => Self::Malformed("the request cannot be parsed".to_owned()),
            other => {
                Self::Internal { cause: format!("a response with status {other} that nobody explained") }
            }
        }
    }
}

/// The status of a code word.
const fn status_of(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::MalformedJson => StatusCode::BAD_REQUEST,
        ProblemCode::UnknownField | ProblemCode::InvalidValue | ProblemCode::IdempotencyMismatch => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ProblemCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ProblemCode::Forbidden => StatusCode::FORBIDDEN,
        ProblemCode::NotFound => StatusCode::NOT_FOUND,
        ProblemCode::StaleLease | ProblemCode::StateConflict | ProblemCode::UniqueConflict => {
            StatusCode::CONFLICT
        }
        ProblemCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemCode::QueueFull | ProblemCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ProblemCode::Overloaded | ProblemCode::StoreUnavailable | ProblemCode::NotReady => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ProblemCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// Without the request at hand; the gate renders it again with path and correlation id.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.respond("", "")
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Malformed(_) => Self::Malformed(unreadable.to_string()),
            Unreadable::UnknownField(violations) => Self::UnknownField(violations),
            Unreadable::InvalidValue(violations) => Self::InvalidValue(violations),
        }
    }
}

impl From<Violations> for Problem {
    fn from(violations: Violations) -> Self {
        Self::InvalidValue(violations)
    }
}

impl From<runtime::Error> for Problem {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::Overloaded => Self::Overloaded,
            runtime::Error::QueueFull { .. } => Self::QueueFull(error.to_string()),
            runtime::Error::NotReady(what) => Self::NotReady(what),
            runtime::Error::Unavailable(cause) => Self::StoreUnavailable { cause },
            runtime::Error::Refused(cause) => Self::Refused { cause },
            runtime::Error::Crashed(cause) => Self::FateUnknown { cause },
            runtime::Error::NotAWorker => Self::NotAWorker,
            runtime::Error::Workspace(cause) => Self::Internal { cause },
            runtime::Error::Late => Self::FateUnknown { cause: error.to_string() },
        }
    }
}

impl From<store::ReadError> for Problem {
    fn from(error: store::ReadError) -> Self {
        match error {
            store::ReadError::Unavailable(cause) => Self::StoreUnavailable { cause },
            store::ReadError::Corrupt { ref what, .. } => {
                Self::Quarantined { what: what.clone(), cause: error.to_string() }
            }
        }
    }
}

impl From<serde_json::Error> for Problem {
    /// Of answers; requests are read by [`protocol::request`].
    fn from(error: serde_json::Error) -> Self {
        Self::Internal { cause: error.to_string() }
    }
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
