//! What files may be made with: the hive closes its own to others, and agents and git get what the hive was started with.

use std::sync::OnceLock;

use rustix::fs::Mode;

/// What held before it was closed.
static STARTED_WITH: OnceLock<Mode> = OnceLock::new();

/// Closes what this process makes from now on to all but its user. Processes of agents and git, which work on files that are
/// not the hive's, get the umask that was there before.
pub fn close() {
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // called again, the first one counts
    let _ = STARTED_WITH.set(before);
}

/// The umask for what is not the hive's; `None` when the process has it anyway.
pub(crate) fn of_others() -> Option<Mode> {
    STARTED_WITH.get().copied()
}
