//! What the operating system says of processes.

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
