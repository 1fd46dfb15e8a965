//! What a process may use, and what is counted of it.

use anyhow::Result;
use domain::{ProcessLimits, ProcessLink, Report, Usage};

use crate::process_guard::{Rig, failure};

const MIB: u64 = 1 << 20;

fn limited(rig: &Rig, script: &str, limits: ProcessLimits) -> ProcessLink {
    ProcessLink { limits, ..rig.shell(script) }
}

fn usage(report: &Report) -> Usage {
    match report {
        Report::Succeeded { usage, .. } | Report::Failed { usage, .. } => usage.expect("a usage"),
        report => panic!("{report:?}"),
    }
}

#[tokio::test]
async fn processor_time_is_limited_over_all_processes_together() -> Result<()> {
    let rig = Rig::new()?;
    let limits = ProcessLimits { cpu_ms: Some(400), ..ProcessLimits::default() };
    let script = "burn() { while :; do :; done; }; burn & setsid sh -c 'while :; do :; done' & wait";
    let (_, ended) = rig.run(limited(&rig, script, limits)).await?;
    assert_eq!(failure(&ended).0, "cpu_limit");
    assert!(matches!(ended.report, Report::Failed { retryable: true, .. }));
    assert!(!ended.is_launch_failure);
    let cpu_ms = usage(&ended.report).cpu_ms.expect("a time");
    assert!((400..1_500).contains(&cpu_ms), "{cpu_ms}");
    Ok(())
}

#[tokio::test]
async fn memory_is_limited_over_all_processes_together() -> Result<()> {
    let rig = Rig::new()?;
    let limits = ProcessLimits { memory_bytes: Some(96 * MIB), ..ProcessLimits::default() };
    let script =
        "take() { python3 -c 'import time; it = bytearray(64 << 20); time.sleep(600)'; }; take & take";
    let (_, ended) = rig.run(limited(&rig, script, limits)).await?;
    assert_eq!(failure(&ended).0, "memory_limit");
    assert!(usage(&ended.report).peak_rss_bytes.expect("a size") > 96 * MIB);

    let script = "python3 -c 'it = bytearray(32 << 20)'";
    let (_, ended) = rig.run(limited(&rig, script, limits)).await?;
    assert!(matches!(ended.report, Report::Succeeded { .. }), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn open_files_are_limited() -> Result<()> {
    let rig = Rig::new()?;
    let limits = ProcessLimits { open_files: Some(32), ..ProcessLimits::default() };
    let script = "python3 -c '
files = []
try:
    while True: files.append(open(\"/dev/null\"))
except OSError as error:
    print(3 + len(files), error.errno)'";
    let (output, _) = rig.run(limited(&rig, script, limits)).await?;
    assert_eq!(output, "32 24\n");
    Ok(())
}

#[tokio::test]
async fn the_size_of_files_is_limited_and_output_is_no_file() -> Result<()> {
    let rig = Rig::new()?;
    let limits = ProcessLimits { file_bytes: Some(4_096), ..ProcessLimits::default() };
    let (_, ended) = rig.run(limited(&rig, "exec head -c 10000 /dev/zero > big", limits)).await?;
    assert_eq!(failure(&ended).0, "file_limit");

    let script = "head -c 4096 /dev/zero > small; head -c 10000 /dev/zero | tr '\\0' x";
    let (output, _) = rig.run(limited(&rig, script, limits)).await?;
    assert_eq!(output.len(), 10_000);
    Ok(())
}

#[tokio::test]
async fn memory_and_processor_time_are_counted_about_right() -> Result<()> {
    let rig = Rig::new()?;
    let (_, ended) = rig.run(rig.shell("exec true")).await?;
    let small = usage(&ended.report);
    let peak = small.peak_rss_bytes.expect("a size");
    assert!((1..16 * MIB).contains(&peak), "the hive's own memory is counted: {peak}");
    assert!(small.cpu_ms.expect("a time") < 250, "{small:?}");

    // it is gone before anybody can look at it twice
    let quick = "exec python3 -c 'bytearray(b\"x\") * (64 << 20)'";
    let (_, ended) = rig.run(rig.shell(quick)).await?;
    let peak = usage(&ended.report).peak_rss_bytes.expect("a size");
    assert!((64 * MIB..96 * MIB).contains(&peak), "{peak}");

    // half of it in a child
    let burn =
        "burn() { python3 -c 'import time\nwhile time.process_time() < 0.3: pass'; }; burn & burn; wait";
    let (_, ended) = rig.run(rig.shell(burn)).await?;
    let cpu_ms = usage(&ended.report).cpu_ms.expect("a time");
    assert!((600..1_000).contains(&cpu_ms), "{cpu_ms}");
    Ok(())
}
