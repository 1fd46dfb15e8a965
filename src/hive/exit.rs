//! Exit codes: what a script learns without reading.

/// How a command ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Fine,
    /// The task that was waited for failed or was canceled.
    TaskFailed,
    /// The command line or the settings are wrong.
    Usage,
    /// No server answers.
    Unreachable,
    /// The token is missing, wrong or may not do this.
    Denied,
    /// There is no such task, agent or queue.
    NotFound,
    /// Its state does not allow it.
    Conflict,
    /// The time to wait is over; the task goes on.
    WaitedTooLong,
    /// The server refuses the input: against the rules, too large, queue full.
    Refused,
    /// The server is there but cannot serve now.
    Unavailable,
    /// A bug of the hive, or its supervision tree gave up.
    Internal,
    /// Something around the program is broken: folder, port, disk, output.
    Environment,
    /// Ended by Ctrl-C: the demo at once, `serve` by a second one.
    Interrupted,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 13] = [
        Self::Fine,
        Self::TaskFailed,
        Self::Usage,
        Self::Unreachable,
        Self::Denied,
        Self::NotFound,
        Self::Conflict,
        Self::WaitedTooLong,
        Self::Refused,
        Self::Unavailable,
        Self::Internal,
        Self::Environment,
        Self::Interrupted,
    ];

    /// The number that the shell sees; 70 and 74 as in `sysexits.h`, 130 as shells do.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::TaskFailed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Denied => 4,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::WaitedTooLong => 7,
            Self::Refused => 8,
            Self::Unavailable => 9,
            Self::Internal => 70,
            Self::Environment => 74,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for the help.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "done as asked; of a task that was waited for: completed",
            Self::TaskFailed => "the task that was waited for failed or was canceled",
            Self::Usage => "the command line or the settings are wrong",
            Self::Unreachable => "no server answers there",
            Self::Denied => "the token is missing, wrong or may not do this",
            Self::NotFound => "no such task, agent or queue",
            Self::Conflict => "its present state does not allow it",
            Self::WaitedTooLong => "the time to wait is over; the task goes on",
            Self::Refused => {
                "the server refuses the input: against the rules, too large, or the queue is full"
            }
            Self::Unavailable => "the server is there but cannot serve now; try again",
            Self::Internal => "a bug of the hive, or its supervision tree gave up",
            Self::Environment => "broken surroundings: port taken, folder in use or not writable, disk full",
            Self::Interrupted => "ended by Ctrl-C: `serve` by the second one",
        }
    }

    /// The table for the help, one line a code.
    #[must_use]
    pub fn table() -> String {
        let line = |exit: &Self| format!("  {:>3}  {}", exit.code(), exit.meaning());
        Self::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_number_and_the_table_is_in_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.is_sorted_by(|one, other| one < other), "{codes:?}");
        assert_eq!(Exit::table().lines().count(), 13);
    }
}
