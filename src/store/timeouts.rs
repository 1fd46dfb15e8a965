//! How long the store waits for others before it says so.

use std::time::Duration;

/// How long is waited for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a server to let a connection in.
    pub connect: Duration,
    /// For a row or a table that another connection of a server holds, of one write.
    pub lock: Duration,
    /// For one statement of a server.
    pub statement: Duration,
    /// For a connection to read with, while all of them are at work.
    pub reader: Duration,
    /// What takes longer is told of in the log.
    pub slow: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            lock: Duration::from_secs(4),
            statement: Duration::from_secs(30),
            reader: Duration::from_secs(5),
            slow: Duration::from_secs(1),
        }
    }
}
