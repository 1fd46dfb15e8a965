//! The hive itself, as it is shown.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /system`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemView {
    /// The program's version.
    pub version: String,
    /// How long it runs, in whole seconds.
    pub uptime_seconds: u64,
    /// When it started.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// `starting`, `serving` or `draining`.
    #[schema(pattern = "^(starting|serving|draining)$")]
    pub phase: String,
    /// The number of this node.
    pub node: u16,
    /// Which database: `sqlite` or `postgresql`.
    pub database: String,
    /// Where it keeps its files.
    pub data_dir: String,
    /// Names the log; another one after a restore.
    pub epoch: String,
    /// Stored tasks by state.
    pub tasks: StateCountsView,
    /// Agents by state.
    pub agents: AgentCounts,
    /// Which part of the log is stored.
    pub log: LogView,
    /// What was measured over the last minute.
    pub rates: RatesView,
}

/// How many tasks are stored in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct StateCountsView {
    /// Delayed or backing off.
    pub scheduled: u64,
    /// Ready.
    pub queued: u64,
    /// Held by an attempt.
    pub working: u64,
    /// Succeeded.
    pub completed: u64,
    /// Dead letters.
    pub failed: u64,
    /// Canceled.
    pub canceled: u64,
    /// All of them.
    pub total: u64,
}

/// How many agents are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentCounts {
    /// Here and free.
    pub idle: u64,
    /// Hold at least one assignment.
    pub working: u64,
    /// Take nothing new.
    pub draining: u64,
    /// Signs of life, no progress.
    pub stalled: u64,
    /// No sign of life.
    pub offline: u64,
    /// Given up.
    pub failed: u64,
    /// All of them.
    pub total: u64,
}

/// Which part of the log is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogView {
    /// The oldest stored event; `last_seq + 1` when none is stored.
    pub first_seq: i64,
    /// The newest committed event; 0 before the first.
    pub last_seq: i64,
}

/// Mean per second over the last full minute of the log. A hive that runs for less shows less.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RatesView {
    /// Over how many seconds it was measured.
    pub window_seconds: u32,
    /// Tasks accepted.
    pub submitted_per_second: f64,
    /// Attempts begun.
    pub started_per_second: f64,
    /// Tasks completed.
    pub completed_per_second: f64,
    /// Attempts that ended badly.
    pub failed_per_second: f64,
}
