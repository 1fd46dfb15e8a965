//! Counts what all processes of an attempt use together.
//!
//! Memory is the sum of the resident memory of each, so pages that several share count several times. What a short peak
//! between two looks misses, the kernel's own mark of the largest single process makes up for.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::tree::Stat;

/// What was used so far, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) cpu_ms: u64,
    pub(super) peak_rss_bytes: u64,
    /// Resident memory of the second stage, which the kernel counts as the command's.
    floor_bytes: u64,
}

/// The kernel's own count of some processes.
struct Kernel {
    cpu_ms: u64,
    max_rss_bytes: u64,
}

/// How much the mark of the second stage may grow between its last look at itself and its end.
const FLOOR_SLACK_BYTES: u64 = 1 << 20;

impl Tally {
    pub(super) fn new(floor_bytes: u64) -> Self {
        Self { floor_bytes: floor_bytes + FLOOR_SLACK_BYTES, ..Self::default() }
    }

    /// Counts the living; answers the memory they use now.
    ///
    /// `tree` has to be looked at after the dead were waited for, parents before children: then a process that ends
    /// meanwhile is missed until the next look, and none is counted twice.
    pub(super) fn count(&mut self, tree: &[Stat]) -> u64 {
        let living_ms: u64 = tree.iter().map(|stat| stat.cpu_ms).sum();
        let rss_bytes = tree.iter().map(|stat| stat.rss_bytes).sum();
        let dead = kernel(UsageWho::RUSAGE_CHILDREN);
        self.cpu_ms = self.cpu_ms.max(living_ms + dead.cpu_ms);
        self.peak_rss_bytes = self.peak_rss_bytes.max(rss_bytes);
        rss_bytes
    }

    /// Counts the dead, when all are.
    pub(super) fn close(&mut self) {
        let dead = kernel(UsageWho::RUSAGE_CHILDREN);
        self.cpu_ms = self.cpu_ms.max(dead.cpu_ms);
        if dead.max_rss_bytes > self.floor_bytes {
            self.peak_rss_bytes = self.peak_rss_bytes.max(dead.max_rss_bytes);
        }
    }
}

/// The highest resident memory of this process, in bytes.
pub(super) fn own_peak_bytes() -> u64 {
    kernel(UsageWho::RUSAGE_SELF).max_rss_bytes
}

fn kernel(who: UsageWho) -> Kernel {
    let Ok(usage) = getrusage(who) else { return Kernel { cpu_ms: 0, max_rss_bytes: 0 } };
    let ms = |time: TimeVal| time.tv_sec() * 1_000 + time.tv_usec() / 1_000;
    Kernel {
        cpu_ms: u64::try_from(ms(usage.user_time()) + ms(usage.system_time())).unwrap_or(0),
        // in KiB, says getrusage(2)
        max_rss_bytes: u64::try_from(usage.max_rss()).unwrap_or(0).saturating_mul(1_024),
    }
}
