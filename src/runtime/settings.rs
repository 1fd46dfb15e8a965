//! The numbers that the actors go by.

use domain::Limits;

/// Settings of the runtime, each in the unit its name says.
#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// Lease of a task that names no heartbeat timeout.
    pub lease_ttl_ms: u64,
    /// How long the holder of a task has to end after a cancel request.
    pub cancel_grace_ms: u64,
    /// How long terminal tasks and events are kept.
    pub retention_ms: u64,
    /// An agent without a sign of life for so long is offline.
    pub offline_after_ms: u64,
    /// A working agent with signs of life but no progress for so long is stalled.
    pub stalled_after_ms: u64,
    /// How long a process has to end after SIGTERM, until SIGKILL.
    pub kill_grace_ms: u64,
    /// What users may hand in.
    pub limits: Limits,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            lease_ttl_ms: 30_000,
            cancel_grace_ms: 30_000,
            retention_ms: 7 * 24 * 3_600 * 1_000,
            offline_after_ms: 60_000,
            stalled_after_ms: 600_000,
            kill_grace_ms: 5_000,
            limits: Limits::default(),
        }
    }
}
