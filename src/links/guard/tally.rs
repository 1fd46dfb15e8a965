//! Counts what all processes of an attempt use together.
//!
//! Memory is the sum of the resident memory of each, so pages that several share count several times. What a short peak
//! between two looks misses, the kernel's own mark of the largest single process makes up for. The kernel counts the second stage (about
//! 5 MB) as the command it became, so nothing seems to use less.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::tree::Stat;

/// What was used so far, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) cpu_ms: u64,
    pub(super) peak_rss_bytes: u64,
}

/// The kernel's own count of those that were waited for.
struct Dead {
    cpu_ms: u64,
    max_rss_bytes: u64,
}

impl Tally {
    /// Counts the living; answers the memory they use now.
    ///
    /// `tree` has to be looked at after the dead were waited for, parents before children: then a process that ends
    /// meanwhile is missed until the next look, and none is counted twice.
    pub(super) fn count(&mut self, tree: &[Stat]) -> u64 {
        let living_ms: u64 = tree.iter().map(|stat| stat.cpu_ms).sum();
        let rss_bytes = tree.iter().map(|stat| stat.rss_bytes).sum();
        let dead = dead();
        self.cpu_ms = self.cpu_ms.max(living_ms + dead.cpu_ms);
        self.peak_rss_bytes = self.peak_rss_bytes.max(rss_bytes);
        rss_bytes
    }

    /// Counts the dead, when all are.
    pub(super) fn close(&mut self) {
        let dead = dead();
        self.cpu_ms = self.cpu_ms.max(dead.cpu_ms);
        self.peak_rss_bytes = self.peak_rss_bytes.max(dead.max_rss_bytes);
    }
}

fn dead() -> Dead {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Dead { cpu_ms: 0, max_rss_bytes: 0 } };
    let ms = |time: TimeVal| time.tv_sec() * 1_000 + time.tv_usec() / 1_000;
    Dead {
        cpu_ms: u64::try_from(ms(usage.user_time()) + ms(usage.system_time())).unwrap_or(0),
        // in KiB, says getrusage(2)
        max_rss_bytes: u64::try_from(usage.max_rss()).unwrap_or(0).saturating_mul(1_024),
    }
}
