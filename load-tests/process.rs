//! What the operating system says of processes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks per second in `/proc/PID/stat`, which Linux fixes for programs.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of a process so far, all its threads.
pub fn cpu(process: u32) -> Result<Duration> {
    cpu_of(&format!("/proc/{process}/stat"))
}

/// Processor time of this process so far.
pub fn own_cpu() -> Result<Duration> {
    cpu_of("/proc/self/stat")
}

/// Processor time of the children of a process that there are.
pub fn cpu_of_children(process: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path().join("stat");
        // Most entries are no processes, and some have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(&path) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        if parent == Some(process) {
            all += cpu_of(&path.to_string_lossy()).unwrap_or_default();
        }
    }
    Ok(all)
}

/// Resident memory of a process, in MiB.
pub fn rss_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib / 1_024.0)
}

fn cpu_of(path: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(path)?;
    let after_name = stat.rsplit_once(") ").context("a process name")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).context("ticks");
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_SECOND))
}

/// Threads of a process, and files that it has open.
pub fn threads_and_files(process: u32) -> Result<(u32, u32)> {
    let count = |folder: &str| -> Result<u32> {
        Ok(u32::try_from(std::fs::read_dir(format!("/proc/{process}/{folder}"))?.count())?)
    };
    Ok((count("task")?, count("fd")?))
}

/// Resident memory of a process, and its proportional share of what it shares with others, in MiB.
pub fn rss_and_pss_mib(process: u32) -> Result<(f64, f64)> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let mib = |name: &str| -> Result<f64> {
        let line = text.lines().find(|line| line.starts_with(name)).context("a line")?;
        Ok(line.split_whitespace().nth(1).context("a number")?.parse::<f64>()? / 1_024.0)
    };
    Ok((mib("Rss:")?, mib("Pss:")?))
}

/// What the machine and some processes have done so far.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// Processor time of the server and what belongs to it.
    pub server: Duration,
    /// That of the workers.
    pub worker: Duration,
    /// That of this process.
    pub own: Duration,
    /// That of everything on the machine.
    pub busy: Duration,
    /// Flushes that the disk of a folder has completed; `None` where the kernel does not count them.
    pub flushes: Option<u64>,
}

impl Snapshot {
    /// Looks, with the times of server and workers as they are now.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn look(folder: &Path, server: Duration, worker: Duration) -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let all = stat.lines().next().context("a line of all processors")?;
        let ticks: Vec<u64> = all.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // user, nice, system, irq, softirq and steal; neither idle nor waiting for a disk.
        let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum();
        let busy = Duration::from_millis(busy * 1_000 / TICKS_PER_SECOND);
        Ok(Self { server, worker, own: own_cpu()?, busy, flushes: flushes(folder)? })
    }
}

fn flushes(folder: &Path) -> Result<Option<u64>> {
    let device = std::fs::metadata(folder)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let Ok(stat) = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")) else {
        return Ok(None);
    };
    // Field 16 of Documentation/block/stat.rst: flushes that were completed.
    Ok(stat.split_whitespace().nth(15).and_then(|field| field.parse().ok()))
}
