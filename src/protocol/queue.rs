//! Queues, as they are shown.

use domain::limits::CONCURRENCY_LIMIT_MAX;
use domain::{Limits, Review, Violations};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::system::StateCountsView;
use crate::{Request, whole};

/// `PUT /queues/{name}`: all that can be set of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"concurrency_limit": 2})))]
#[serde(deny_unknown_fields, default)]
pub struct PutQueue {
    /// Most tasks of it that are worked on at a time, 1 to 100,000; null for as many as agents take. A lower limit
    /// than what is worked on ends nothing: nothing more begins until enough has ended.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "named")]
    #[schema(required = true, value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    pub concurrency_limit: Option<Option<u32>>,
}

/// Tells `null` from a field that is missing.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    whole::option(deserializer).map(Some)
}

impl Request for PutQueue {
    type Asked = Option<u32>;

    fn check(self, _: &Limits) -> Result<Option<u32>, Violations> {
        let mut review = Review::new();
        let Some(limit) = self.concurrency_limit else {
            return Err(Violations::one("concurrency_limit", "is required; null is no limit"));
        };
        let in_range = limit.is_none_or(|limit| (1..=CONCURRENCY_LIMIT_MAX).contains(&limit));
        review.require(in_range, "concurrency_limit", "must be from 1 to 100000, or null for no limit");
        review.finish().map(|()| limit)
    }
}

/// A queue. It comes into being with its first task, or when it is paused or given a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Whether it hands out nothing.
    pub paused: bool,
    /// Most tasks of it that are worked on at a time; null for as many as agents take.
    #[schema(minimum = 1, maximum = 100_000)]
    pub concurrency_limit: Option<u32>,
    /// Its stored tasks by state.
    pub tasks: StateCountsView,
    /// How many wait ready, by priority from 0 to 9.
    #[schema(value_type = Vec<u64>, min_items = 10, max_items = 10)]
    pub queued_by_priority: [u64; 10],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;

    #[test]
    fn a_limit_is_named_as_a_number_or_as_none() {
        let read = |body: &str| request::read::<PutQueue>(body.as_bytes(), &Limits::default());
        assert_eq!(read(r#"{"concurrency_limit":1}"#), Ok(Some(1)));
        assert_eq!(read(r#"{"concurrency_limit":100000}"#), Ok(Some(100_000)));
        assert_eq!(read(r#"{"concurrency_limit":null}"#), Ok(None));
        for broken in ["{}", r#"{"concurrency_limit":0}"#, r#"{"concurrency_limit":100001}"#] {
            assert!(read(broken).is_err(), "{broken}");
        }
        assert!(matches!(read(r#"{"paused":true}"#), Err(request::Unreadable::UnknownField(_))));
    }
}
