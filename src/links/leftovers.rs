//! Ends what an earlier hive or a killed guard left running.
//!
//! Invariant: nothing is killed by its number alone: only who was on record with the time of its start, who carries the mark
//! of an attempt in its environment, and their descendants.
//!
//! Invariant: a record stays while anything of its attempt runs, so that the next start tries again.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::guard::record::{self, Record};
use crate::guard::tree::{Stat, all, among};

/// The variable of a command's environment that holds its attempt's mark.
pub(crate) const MARK: &str = "HIVE_PROCESS";

/// How long guards that live on get to end their attempt themselves; they see that their hive has gone.
const GUARDS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long killing is tried.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// From one look to the next.
const BEAT: Duration = Duration::from_millis(10);

/// What became of an attempt.
#[derive(Debug, Clone, Copy)]
struct End {
    was_running: bool,
    /// Whether nothing of it runs any more.
    is_over: bool,
}

/// Ends all that is on record in a folder; answers of how many attempts something was still running.
pub(crate) fn end_all(folder: &Path) -> usize {
    end_all_within(folder, KILL_TIMEOUT)
}

fn end_all_within(folder: &Path, timeout: Duration) -> usize {
    let paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    let boot_id = record::boot_id();
    let mut records: Vec<(&Path, Record)> =
        paths.iter().filter_map(|path| Some((path.as_path(), Record::read(path).ok()?))).collect();
    records.retain(|(_, record)| record.boot_id == boot_id);

    let count = records.iter().filter(|(_, record)| !remains(record).is_empty()).count();
    until(GUARDS_TIMEOUT.min(timeout), || !records.iter().any(|(_, record)| record.guard.is_alive()));
    records.retain(|(_, record)| !end(record, timeout).is_over);
    // records, prompts, and what was being written
    for path in paths.iter().filter(|path| !records.iter().any(|(kept, _)| kept == path)) {
        record::remove(path);
    }
    for (path, _) in records {
        tracing::error!(record = %path.display(), "what an earlier hive left running cannot be killed");
    }
    count
}

/// Ends the attempt of a record whose guard was killed; answers whether something was still running.
pub(crate) fn end_one(path: &Path) -> bool {
    let Ok(record) = Record::read(path) else { return false };
    let ended = if record.boot_id == record::boot_id() {
        end(&record, KILL_TIMEOUT)
    } else {
        End { was_running: false, is_over: true }
    };
    if ended.is_over {
        record::remove(path);
    }
    ended.was_running
}

fn end(record: &Record, timeout: Duration) -> End {
    let mut was_running = false;
    let is_over = until(timeout, || {
        let left = remains(record);
        was_running |= !left.is_empty();
        if let Some(group) = Pid::from_raw(record.command.pid)
            && left.iter().any(|stat| stat.identity == record.command)
        {
            // all together, so that none forks meanwhile
            let _ = kill_process_group(group, Signal::KILL);
        }
        for stat in &left {
            stat.identity.signal(Signal::KILL);
        }
        left.is_empty()
    });
    End { was_running, is_over }
}

/// What still runs of an attempt.
fn remains(record: &Record) -> Vec<Stat> {
    let myself = i32::try_from(std::process::id()).unwrap_or_default();
    let mark = format!("{MARK}={}", record.mark);
    let all = all();
    let bearers: HashSet<i32> =
        all.iter().map(|stat| stat.identity.pid).filter(|pid| bears(*pid, mark.as_bytes())).collect();
    let mut found = among(&all, |stat| {
        stat.identity == record.guard
            || stat.identity == record.command
            || bearers.contains(&stat.identity.pid)
    });
    found.retain(|stat| !stat.is_zombie && stat.identity.pid != myself);
    found
}

/// Whether a process was started with this variable; `false` where one may not look.
fn bears(pid: i32, variable: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == variable)
}

/// Asks again and again until something holds, or the time is over; answers whether it holds.
fn until(timeout: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let give_up_at = Instant::now() + timeout;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= give_up_at {
            return false;
        }
        thread::sleep(BEAT);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;
    use crate::guard::tree::Identity;

    #[test]
    fn a_record_stays_while_something_of_its_attempt_runs() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let command = Identity::of(Pid::from_child(&child)).unwrap();
        let record = Record { guard: command, command, boot_id: record::boot_id(), mark: "none".to_owned() };
        let (path, prompt) = (folder.path().join("one.json"), folder.path().join("one.prompt"));
        record.write(&path).unwrap();
        fs::write(&prompt, "a prompt").unwrap();
        // time for one look, which still sees what it kills
        assert_eq!(end_all_within(folder.path(), Duration::ZERO), 1);
        assert!(path.exists() && !prompt.exists());
        child.wait().unwrap();
        assert_eq!(end_all(folder.path()), 0);
        assert!(!path.exists());
    }
}
