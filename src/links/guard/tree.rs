//! The tree of processes as `/proc` shows it, and signals that hit exactly who is meant.
//!
//! Invariant: nothing is signalled by its number alone. A process is its number and the time of its start; the signal goes
//! through a descriptor of the process that had both when it was opened.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process, and no later one with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// When it started, in ticks since the machine did (`starttime` of proc_pid_stat(5)).
    pub(crate) started: u64,
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) identity: Identity,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    /// Whether it has ended and waits to be asked how.
    pub(crate) is_zombie: bool,
    /// Processor time of itself and of the children it has waited for.
    pub(crate) cpu_ms: u64,
    pub(crate) rss_bytes: u64,
}

impl Identity {
    /// Who has this number now.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        Some(Stat::of(pid.as_raw_pid())?.identity)
    }

    pub(crate) fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.identity == self && !stat.is_zombie)
    }

    /// Sends a signal; answers whether it was sent.
    pub(crate) fn signal(self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        // only now: from here on the number cannot come to mean another process unseen
        Self::of(pid) == Some(self) && pidfd_send_signal(process, signal).is_ok()
    }
}

impl Stat {
    /// Of the process with this number; `None` when there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&text))
    }

    /// See proc_pid_stat(5). The second field is the program's name in brackets, and may hold anything.
    fn parse(pid: i32, text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // the first field of `rest` is the third of the file
        let field = |number: usize| fields.get(number - 3).copied();
        let count = |number| field(number)?.parse::<u64>().ok();
        let ticks = count(14)? + count(15)? + count(16)? + count(17)?;
        Some(Self {
            identity: Identity { pid, started: count(22)? },
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            is_zombie: matches!(field(3)?, "Z" | "X"),
            cpu_ms: ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1),
            rss_bytes: count(24)? * u64::try_from(rustix::param::page_size()).ok()?,
        })
    }
}

/// All descendants of a process, parents before their children, as far as one look sees them.
pub(crate) fn descendants(root: i32) -> Vec<Stat> {
    let Some(first) = children(root) else {
        return among(&all(), |stat| stat.parent == root);
    };
    let mut found: Vec<Stat> = Vec::new();
    let mut next = first;
    while let Some(pid) = next.pop() {
        if let Some(stat) = Stat::of(pid) {
            found.push(stat);
            next.extend(children(pid).unwrap_or_default());
        }
    }
    found
}

/// Every process that one may see.
pub(crate) fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Stat::of).collect()
}

/// Those of `all` that are meant, and their descendants.
pub(crate) fn among(all: &[Stat], is_meant: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let (mut found, mut rest): (Vec<&Stat>, Vec<&Stat>) = all.iter().partition(|stat| is_meant(stat));
    loop {
        let is_below = |stat: &&Stat| found.iter().any(|above| above.identity.pid == stat.parent);
        let (below, others): (Vec<&Stat>, Vec<&Stat>) = rest.into_iter().partition(is_below);
        if below.is_empty() {
            return found.into_iter().cloned().collect();
        }
        found.extend(below);
        rest = others;
    }
}

/// The children of all threads of a process; `None` where the kernel does not list them (`CONFIG_PROC_CHILDREN`).
fn children(pid: i32) -> Option<Vec<i32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && thread.path().exists() => {
                return None;
            }
            Err(_) => {} // a thread that has ended
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) b (c) S 7 40 40 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 987654 1000 25 184467";
        let stat = Stat::parse(42, text).unwrap();
        assert_eq!(stat.identity, Identity { pid: 42, started: 987_654 });
        assert_eq!((stat.parent, stat.group, stat.is_zombie), (7, 40, false));
        assert_eq!(stat.cpu_ms, 100 * 1_000 / rustix::param::clock_ticks_per_second());
        assert_eq!(stat.rss_bytes, 25 * u64::try_from(rustix::param::page_size()).unwrap());
    }

    #[test]
    fn a_stat_that_is_cut_short_says_nothing() {
        assert_eq!(Stat::parse(42, "42 (cat) S 7 40"), None);
        assert_eq!(Stat::parse(42, ""), None);
    }

    #[test]
    fn both_ways_to_look_find_the_same_descendants() {
        let script = "sh -c 'sleep 60 & wait' & wait";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let root = i32::try_from(child.id()).unwrap();
        let began = std::time::Instant::now();
        while among(&all(), |stat| stat.parent == root).len() < 2 {
            assert!(began.elapsed().as_secs() < 10, "no descendants in sight");
        }
        let scanned = among(&all(), |stat| stat.parent == root);
        let listed = descendants(root);
        let identities = |stats: &[Stat]| stats.iter().map(|stat| stat.identity).collect::<Vec<_>>();
        assert_eq!(identities(&listed), identities(&scanned));
        for stat in &listed {
            assert!(stat.identity.is_alive());
            assert!(stat.identity.signal(Signal::KILL));
        }
        child.wait().unwrap();
        assert!(!listed[0].identity.is_alive());
    }

    #[test]
    fn who_has_the_number_but_started_at_another_time_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let real = Stat::of(i32::try_from(child.id()).unwrap()).unwrap().identity;
        let earlier = Identity { started: real.started - 1, ..real };
        assert!(!earlier.signal(Signal::KILL));
        assert!(!earlier.is_alive());
        assert!(real.is_alive());
        assert!(real.signal(Signal::KILL));
        child.wait().unwrap();
    }
}
