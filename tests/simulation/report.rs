//! The figures of a whole run, for docs/guarantees.md: a line of JSON each.

use std::fs::File;
use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use crate::seeds::Summary;

/// What the simulation did.
pub fn simulated(summary: &Summary) -> Result<()> {
    add(&json!({
        "simulation": "the program as it is",
        "seeds": summary.seeds,
        "virtual_minutes": summary.virtual_us / 60_000_000,
        "calls": summary.figures.calls,
        "commits": summary.figures.commits,
        "crashes": summary.figures.crashes,
        "faults": summary.figures.faults,
        "broken": summary.broken.len(),
    }))
}

/// By which seed a planted bug was found.
pub fn found(planted: &str, what: &str, seed: u64, breach: &str) -> Result<()> {
    add(&json!({"planted": planted, "what": what, "seed": seed, "breach": breach}))
}

fn add(line: &Value) -> Result<()> {
    let Some(path) = std::env::var_os("HIVE_TESTS_REPORT") else { return Ok(()) };
    Ok(File::options().create(true).append(true).open(path)?.write_all(format!("{line}\n").as_bytes())?)
}
