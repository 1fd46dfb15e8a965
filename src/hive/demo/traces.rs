//! Finds what still runs of a demo: the server, the guards that it started, and their commands.
//!
//! Invariant: a process is known by what only the demo could have given it, never by its number or its name alone: the
//! server and all commands have the demo's own `TMPDIR`, and guards, whose environment is empty, stand in its folder. It is
//! asked again before it is killed, through a descriptor that means it alone.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The folder for temporary files of all that a demo starts.
pub fn temporary(home: &Path) -> PathBuf {
    home.join("tmp")
}

/// All that runs, in no order.
pub fn found(home: &Path) -> Vec<Pid> {
    let variable = variable(home);
    let folder = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = folder.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).filter(|pid| is_ours(*pid, home, &variable)).collect()
}

/// Kills all that runs.
pub fn kill(home: &Path) {
    for pid in found(home) {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue }; // gone by now
        // only now: from here on the number cannot come to mean another process unseen
        if is_ours(pid, home, &variable(home)) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

/// What the server and all commands have in their environment.
fn variable(home: &Path) -> String {
    format!("TMPDIR={}", temporary(home).display())
}

fn is_ours(pid: Pid, home: &Path, variable: &str) -> bool {
    let file = |name: &str| format!("/proc/{}/{name}", pid.as_raw_nonzero());
    let has = |name: &str, wanted: &str| {
        let words = std::fs::read(file(name)).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes())
    };
    if has("environ", variable) {
        return true;
    }
    let stands_here = std::fs::read_link(file("cwd")).is_ok_and(|folder| folder.starts_with(home));
    // one that is about to be gone has no words any more, and still stands there
    let is_ending = || std::fs::read(file("cmdline")).is_ok_and(|words| words.is_empty());
    stands_here && (has("cmdline", "exec-guard") || is_ending())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_carries_the_folder_is_found_and_killed_and_a_shell_that_merely_stands_there_is_not() {
        let home = tempfile::tempdir().unwrap();
        let mut visitor = Command::new("sleep").arg("60").current_dir(home.path()).spawn().unwrap();
        let mut own = Command::new("sleep").arg("60").env("TMPDIR", temporary(home.path())).spawn().unwrap();
        let number = i32::try_from(own.id()).unwrap();
        // until the child has become `sleep` it has the environment of this process
        while found(home.path()).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(found(home.path()), [Pid::from_raw(number).unwrap()]);
        kill(home.path());
        own.wait().unwrap();
        assert_eq!(found(home.path()), []);
        assert!(visitor.try_wait().unwrap().is_none());
        visitor.kill().unwrap();
        visitor.wait().unwrap();
    }
}
