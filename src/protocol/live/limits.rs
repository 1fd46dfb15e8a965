//! The numbers of a session that no setting changes, and how it is closed.

/// A message above this closes the connection with 1009, in bytes; below it, one above the setting is answered.
pub const MESSAGE_BYTES_HARD_MAX: usize = 1 << 20;
/// At most one error about the rate within so many seconds.
pub const RATE_NOTICE_SECONDS: u64 = 5;
/// So many messages dropped within [`RATE_NOTICE_SECONDS`] are a flood, which closes the connection.
pub const FLOOD_DROPS: u32 = 1_000;
/// Wake-ups in a row that a session may fail to take.
pub const MISSED_WAKES_MAX: u32 = 5;
/// Bytes of events that a session reads at a wake-up, at most one frame more.
pub const WAKE_BYTES: usize = 64 << 10;

/// Why the hive closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its token stands for nobody any more.
    Credentials,
    /// Nothing of what it asked for is allowed to its role, or an operator closed it.
    Forbidden,
    /// It does not read.
    SlowConsumer,
    /// It says nothing.
    Idle,
    /// It says too much.
    Flood,
    /// The hive stops.
    Shutdown,
    /// A message is larger than the hard limit.
    TooLarge,
    /// It is not WebSocket as it should be.
    Protocol,
    /// A text is not UTF-8.
    NotText,
    /// Of a worker's session: a newer one speaks for the same process of the agent.
    Superseded,
    /// Of a worker's session: its agent was removed.
    Removed,
}

impl Ending {
    /// Those of a watcher's session.
    pub const WATCHING: [Self; 9] = [
        Self::Credentials,
        Self::Forbidden,
        Self::SlowConsumer,
        Self::Idle,
        Self::Flood,
        Self::Shutdown,
        Self::TooLarge,
        Self::Protocol,
        Self::NotText,
    ];

    /// The close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Credentials => 4401,
            Self::Forbidden => 4403,
            Self::SlowConsumer => 4408,
            Self::Idle => 4410,
            Self::Flood => 4429,
            Self::Shutdown => 1001,
            Self::TooLarge => 1009,
            Self::Protocol => 1002,
            Self::NotText => 1007,
            Self::Superseded => 4409,
            Self::Removed => 4404,
        }
    }

    /// The word in notices, logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Forbidden => "forbidden",
            Self::SlowConsumer => "slow_consumer",
            Self::Idle => "idle",
            Self::Flood => "flood",
            Self::Shutdown => "shutdown",
            Self::TooLarge => "message_too_large",
            Self::Protocol => "protocol_error",
            Self::NotText => "invalid_utf8",
            Self::Superseded => "superseded",
            Self::Removed => "agent_removed",
        }
    }
}
