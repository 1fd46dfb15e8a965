//! How a refusal looks on the wire: RFC 9457 problem details, with a closed list of codes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of every error response, source: <https://www.rfc-editor.org/rfc/rfc9457>.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal, $title:literal;)*) => {
        /// What went wrong, as a word programs can act on. The list is closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ProblemCode {
            $($(#[$doc])* $code,)*
        }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }

            /// A short sentence, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// The problem's type: a URN of the code.
            #[must_use]
            pub const fn type_uri(self) -> &'static str {
                match self { $(Self::$code => concat!("urn:agent-hive:problem:", $word),)* }
            }
        }
    };
}

codes! {
    /// 400: the body is not JSON.
    MalformedJson = "malformed_json", "The request cannot be parsed";
    /// 422: a field or parameter that the contract does not know.
    UnknownField = "unknown_field", "The request has a field that does not exist";
    /// 422: a value is of a wrong type or against the rules.
    InvalidValue = "invalid_value", "A value is against the rules";
    /// 422: the idempotency key was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", "The idempotency key was used for another request";
    /// 401: no valid token.
    Unauthorized = "unauthorized", "A valid token is required";
    /// 403: the token does not allow it.
    Forbidden = "forbidden", "The token does not allow this";
    /// 404 (405 where only the method is wrong): there is no such thing.
    NotFound = "not_found", "There is no such thing";
    /// 409: the attempt does not hold the task any more.
    StaleLease = "stale_lease", "The attempt does not hold the task any more";
    /// 409: the state does not allow it.
    StateConflict = "state_conflict", "The present state does not allow this";
    /// 409: it must be unique and is there already.
    UniqueConflict = "unique_conflict", "It is there already";
    /// 413: the body is larger than allowed.
    PayloadTooLarge = "payload_too_large", "The body is too large";
    /// 429: as many tasks wait in the queue as may.
    QueueFull = "queue_full", "The queue is full";
    /// 429: too many requests from one caller.
    RateLimited = "rate_limited", "Too many requests";
    /// 503: the hive has more to do than it may queue; nothing was written.
    Overloaded = "overloaded", "The hive is overloaded";
    /// 503: the database does not answer.
    StoreUnavailable = "store_unavailable", "The store is not available";
    /// 503: the hive starts or drains.
    NotReady = "not_ready", "The hive is not ready";
    /// 500: a bug of the hive; the log has more under the correlation id.
    Internal = "internal", "Something went wrong inside the hive";
}

/// The body of every error response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// A URI of the kind of problem.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// A short sentence, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, for people.
    pub detail: String,
    /// The path of the request.
    pub instance: String,
    /// What went wrong, for programs.
    pub code: ProblemCode,
    /// What ties it to the log.
    pub correlation_id: String,
    /// The fields that broke a rule, all at once.
    #[serde(default)]
    pub errors: Vec<FieldError>,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field, like `timeouts.heartbeat_ms` or `items[3].attempt`; empty for the request as a whole.
    pub field: String,
    /// What it must be, in words that follow the field's name.
    pub message: String,
}

impl From<domain::Violation> for FieldError {
    fn from(violation: domain::Violation) -> Self {
        Self { field: violation.field, message: violation.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_word_in_json_in_text_and_in_its_uri() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.type_uri().ends_with(code.as_str()));
        }
        assert_eq!(ProblemCode::ALL.len(), 17);
    }
}
