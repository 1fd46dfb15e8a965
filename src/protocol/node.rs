//! `GET /system/nodes`: the processes that form the hive.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One process of the hive, with what the operating system says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its number.
    pub node: u16,
    /// `starting`, `serving` or `draining`.
    #[schema(pattern = "^(starting|serving|draining)$")]
    pub phase: String,
    /// The program's version.
    pub version: String,
    /// When it started.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// How long it runs, in whole seconds.
    pub uptime_seconds: u64,
    /// Its process id on its machine.
    pub pid: u32,
    /// Attempts whose actors run in it.
    pub attempts: u64,
    /// Processor time it has used, in milliseconds; null where the operating system does not say.
    pub cpu_ms: Option<u64>,
    /// Memory it holds, resident, in bytes; null where the operating system does not say.
    pub memory_bytes: Option<u64>,
    /// Its threads; null where the operating system does not say.
    pub threads: Option<u32>,
}
