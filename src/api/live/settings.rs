//! The numbers of sessions that settings change.

use std::time::Duration;

/// The numbers of sessions.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// Messages of a client per second, on the long run.
    pub messages_per_second: u32,
    /// Messages of a client at once, after a pause.
    pub burst: u32,
    /// Bytes of a message of a client; a larger one is answered with an error.
    pub message_bytes_max: usize,
    /// Subscriptions of a session.
    pub subscriptions_max: usize,
    /// Sessions of the hive.
    pub sessions_max: usize,
    /// Sessions of one principal.
    pub sessions_per_principal_max: usize,
    /// How long a session may give no sign of life; an answer to a ping is one.
    pub idle_timeout: Duration,
    /// How often a session is pinged.
    pub ping_every: Duration,
    /// How long a session's socket may take nothing.
    pub slow_timeout: Duration,
    /// Origins of pages that may connect, beside the hive's own.
    pub allowed_origins: Vec<String>,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            messages_per_second: 20,
            burst: 40,
            message_bytes_max: 65_536,
            subscriptions_max: 10,
            sessions_max: 10_000,
            sessions_per_principal_max: 10_000,
            idle_timeout: Duration::from_secs(600),
            ping_every: Duration::from_secs(30),
            slow_timeout: Duration::from_secs(20),
            allowed_origins: Vec::new(),
        }
    }
}
