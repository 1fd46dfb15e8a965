//! An acknowledgement leaves only after the disk has confirmed it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{Hive, Options};

/// Lines of the trace from the arrival of a submit to its 201, one list a submit.
fn spans(trace: &str) -> Vec<Vec<&str>> {
    let mut spans = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in trace.lines() {
        if line.contains("POST /api/v2/tasks") {
            open = Some(Vec::new());
        } else if line.contains("HTTP/1.1 201") {
            spans.extend(open.take());
        } else if let Some(span) = &mut open {
            span.push(line);
        }
    }
    spans
}

async fn trace_of_submits(path: &Path, count: usize) -> Result<String> {
    let words =
        ["strace", "-f", "-s", "64", "-e", "trace=fsync,fdatasync,read,recvfrom,write,writev,sendto", "-o"];
    let mut wrapper: Vec<String> = words.iter().map(ToString::to_string).collect();
    wrapper.push(path.display().to_string());
    let options = Options { wrapper, ..Options::default() };
    // Otherwise the checkpointer's syncs come between.
    let mut hive = Hive::start_with(options).await?;
    for number in 0..count {
        hive.submit(&json!({"title": format!("task {number}")})).await?;
    }
    hive.terminate().await?;
    Ok(std::fs::read_to_string(path)?)
}

#[tokio::test]
async fn one_post_is_one_sync_of_the_disk_before_its_201() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trace = trace_of_submits(&folder.path().join("trace"), 10).await?;
    let spans = spans(&trace);
    ensure!(spans.len() == 10, "{} of 10 submits found in the trace", spans.len());
    let writer = spans
        .iter()
        .flatten()
        .find(|line| line.contains("sync("))
        .and_then(|line| line.split_whitespace().next())
        .context("nothing was synced")?;
    for span in &spans {
        // `12 fdatasync(9 <unfinished ...>` begins a call that another thread's line interrupts.
        let begun: Vec<_> = span
            .iter()
            .filter(|line| line.split_whitespace().next() == Some(writer))
            .filter(|line| line.contains("sync(") && !line.contains("resumed"))
            .collect();
        assert_eq!(begun.len(), 1, "one sync before the 201: {span:#?}");
        let is_finished = span.iter().any(|line| line.contains("sync") && line.contains("= 0"));
        assert!(is_finished, "the sync returned before the 201: {span:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_ledger_finds_what_is_done_to_a_database_behind_its_hive() -> Result<()> {
    assert_eq!(tests::ledger::self_test::run().await?.len(), 5);
    Ok(())
}
