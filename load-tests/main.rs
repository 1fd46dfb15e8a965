//! Measures a hive from outside: `cargo run --release -p load-tests -- SCENARIO`.
//!
//! It starts a server of its own with default settings (login, events, synchronous=FULL) in a throw-away folder, and
//! counts afterwards over the API what is really there. The load generator runs on the same machine and takes its share
//! of the processors; both shares are in the report.

mod end_to_end;
mod report;
mod server;
mod submit;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures a hive from outside.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure.
    scenario: Scenario,
    /// Clients at a time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Seconds to measure, after two seconds to warm up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Runs; the report has each and the median.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scenario {
    /// One task a request; counts submits that were acknowledged.
    Submit,
    /// Submits and workers that lease and complete in batches of 100; counts tasks that are completed.
    EndToEnd,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut runs = Vec::new();
    for _ in 0..arguments.runs.max(1) {
        let time = Duration::from_secs(arguments.seconds);
        runs.push(match arguments.scenario {
            Scenario::Submit => runtime.block_on(submit::measure(arguments.clients, time))?,
            Scenario::EndToEnd => runtime.block_on(end_to_end::measure(arguments.clients, time))?,
        });
    }
    let name = match arguments.scenario {
        Scenario::Submit => "submit",
        Scenario::EndToEnd => "end_to_end",
    };
    report::print(name, arguments.clients, &runs, arguments.json)
}
