//! The measured totals of a topic, as snapshots and updates carry them.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentTotals {
    /// Agents that are idle or working.
    pub active_count: u64,
    /// How many are well.
    pub health_summary: HealthCounts,
    /// When this was measured.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_updated: Timestamp,
}

/// Agents by how they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HealthCounts {
    /// Idle, working or draining.
    pub healthy: u64,
    /// Stalled, offline or failed.
    pub degraded: u64,
}

/// How it goes over all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoordinationTotals {
    /// Completed of all that ended well or badly, of the tasks that are stored; null where none has ended.
    pub success_rate: Option<f64>,
    /// Tasks that are stored.
    pub total_tasks: u64,
    /// The last half minute beside the one before.
    pub trend: Trend,
    /// When this was measured.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_updated: Timestamp,
}

/// Where the share of attempts that end well goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// It grew by more than a hundredth.
    Improving,
    /// It fell by more than a hundredth.
    Declining,
    /// Neither, or nothing ended in one of the two half minutes.
    Stable,
}

/// Tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskTotals {
    /// Tasks that wait: queued and scheduled.
    pub queue_length: u64,
    /// Tasks that are worked on.
    pub in_progress: u64,
    /// Attempts that ended badly within the last minute.
    pub failed_recent: u64,
    /// When this was measured.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_updated: Timestamp,
}

/// The hive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemTotals {
    /// `healthy`, `degraded` or `unhealthy`.
    pub overall_health: String,
    /// `healthy` or `unhealthy`.
    pub database_status: String,
    /// `not_configured`: this hive needs no Redis.
    pub redis_status: String,
    /// When this was measured.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_updated: Timestamp,
}

/// The state at an offset: of each topic that is subscribed to, and has totals.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Where agents are subscribed to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agents: Option<AgentTotals>,
    /// Where coordination is subscribed to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub coordination: Option<CoordinationTotals>,
    /// Where tasks are subscribed to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tasks: Option<TaskTotals>,
    /// Where the system is subscribed to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system: Option<SystemTotals>,
}
