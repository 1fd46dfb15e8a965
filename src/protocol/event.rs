//! Events of the log, as they are shown.

use domain::{AgentId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One committed fact.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its place in the log and its id: gapless, in commit order.
    pub seq: i64,
    /// When it was committed.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened, like `task.completed`.
    pub kind: String,
    /// To which task.
    #[serde(with = "crate::text::option")]
    #[schema(value_type = Option<crate::schemas::TaskIdText>)]
    pub task_id: Option<TaskId>,
    /// To or by which agent.
    #[serde(with = "crate::text::option")]
    #[schema(value_type = Option<crate::schemas::AgentIdText>)]
    pub agent_id: Option<AgentId>,
    /// Which attempt.
    pub attempt: Option<u32>,
    /// In which queue.
    pub queue: Option<String>,
    /// The request that caused it.
    pub correlation_id: String,
    /// More, as an object of at most 512 bytes.
    #[schema(value_type = serde_json::Value)]
    pub data: Box<RawValue>,
}
