//! How a worker gets its assignments.

use std::collections::BTreeMap;

use domain::{Limits, Review, TaskId, Timestamp, Violations, limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::figures::TimeoutsView;
use crate::{Request, whole};

/// Longest name of a worker's instance, in characters.
pub const WORKER_INSTANCE_CHARS_MAX: usize = 128;

/// `POST /agents/{id}/lease`; the body may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"max": 4, "wait_ms": 1000, "worker_instance": "host-1.4711"})))]
#[serde(deny_unknown_fields, default)]
pub struct LeaseRequest {
    /// How many assignments at most, 1 to 1000; 1 when missing.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub max: Option<u32>,
    /// How long to wait while there is nothing, 0 to 30000 milliseconds; 0 when missing.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 30000)]
    pub wait_ms: Option<u64>,
    /// Which process of the agent asks; a newer call of the same one ends the older.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub worker_instance: Option<String>,
}

/// What a [`LeaseRequest`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseAsked {
    /// How many assignments at most.
    pub max: u32,
    /// How long to wait while there is nothing, in milliseconds.
    pub wait_ms: u64,
    /// Which process of the agent asks.
    pub worker_instance: Option<String>,
}

impl Request for LeaseRequest {
    type Asked = LeaseAsked;

    fn check(self, _: &Limits) -> Result<LeaseAsked, Violations> {
        let mut review = Review::new();
        let (max, wait_ms) = (self.max.unwrap_or(1), self.wait_ms.unwrap_or(0));
        review.require((1..=limits::LEASE_COUNT_MAX).contains(&max), "max", "must be from 1 to 1000");
        review.require(wait_ms <= limits::LEASE_WAIT_MS_MAX, "wait_ms", "must be at most 30000 (30 s)");
        let is_named = self.worker_instance.as_ref().is_none_or(|name| {
            (1..=WORKER_INSTANCE_CHARS_MAX).contains(&name.chars().count()) && !name.contains('\0')
        });
        review.require(is_named, "worker_instance", "must be 1 to 128 characters without U+0000");
        review.finish().map(|()| LeaseAsked { max, wait_ms, worker_instance: self.worker_instance })
    }
}

/// What a worker is handed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LeaseAnswer {
    /// The assignments; empty when there was nothing in time.
    pub assignments: Vec<AssignmentView>,
}

/// An attempt handed to an agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AssignmentView {
    /// Which task.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::TaskIdText)]
    pub task_id: TaskId,
    /// Which attempt; every report names it.
    pub attempt: u32,
    /// What people call it.
    pub title: String,
    /// What sort of work it is.
    pub kind: Option<String>,
    /// The queue it came from.
    pub queue: String,
    /// 0 to 9.
    pub priority: u8,
    /// The input, byte for byte as it came.
    #[schema(value_type = Option<serde_json::Value>)]
    pub input: Option<Box<RawValue>>,
    /// The task's labels.
    pub labels: BTreeMap<String, String>,
    /// How long the lease lasts without a heartbeat, in milliseconds.
    pub lease_ttl_ms: u64,
    /// When the lease expires.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: Timestamp,
    /// How long things may take.
    pub timeouts: TimeoutsView,
}
