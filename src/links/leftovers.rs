//! Ends what an earlier hive or a killed guard left running.
//!
//! Invariant: nothing is killed by its number alone: only who was on record with the time of its start, who carries the mark
//! of an attempt in its environment, and their descendants.

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

/// Ends all that is on record in a folder; answers of how many attempts something was still running.
pub(crate) fn end_all(folder: &Path) -> usize {
    let paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    let boot_id = record::boot_id();
    let mut records: Vec<Record> = paths.iter().filter_map(|path| Record::read(path).ok()).collect();
    records.retain(|record| record.boot_id == boot_id);

    let count = records.iter().filter(|record| !remains(record).is_empty()).count();
    until(GUARDS_TIMEOUT, || !records.iter().any(|record| record.guard.is_alive()));
    for record in &records {
        end(record);
    }
    // records, prompts, and what was being written
    for path in paths {
        record::remove(&path);
    }
    count
}

/// Ends the attempt of a record whose guard was killed; answers whether something was still running.
pub(crate) fn end_one(path: &Path) -> bool {
    let Ok(record) = Record::read(path) else { return false };
    let was_running = record.boot_id == record::boot_id() && end(&record);
    record::remove(path);
    was_running
}

fn end(record: &Record) -> bool {
    let mut was_running = false;
    until(KILL_TIMEOUT, || {
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
    was_running
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

/// Asks again and again until something holds, or the time is over.
fn until(timeout: Duration, mut holds: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + timeout;
    while !holds() && Instant::now() < give_up_at {
        thread::sleep(BEAT);
    }
}
