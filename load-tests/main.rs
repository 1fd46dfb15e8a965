//! Measures a hive from outside: `cargo run --release -p load-tests -- SCENARIO`.
//!
//! It starts a server of its own with default settings (login, events, synchronous=FULL) in a throw-away folder, and
//! counts afterwards over the API what is really there. The load generator runs on the same machine and takes its share
//! of the processors; both shares are in the report.

mod commands;
mod end_to_end;
mod flood;
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
    /// Each command of `hive`, from start to end of its process; needs neither clients nor runs.
    Cli,
    /// Other tasks beside a process that prints without end; needs neither clients nor runs.
    Flood,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (clients, time) = (arguments.clients, Duration::from_secs(arguments.seconds));
    let mut runs = Vec::new();
    let name = match arguments.scenario {
        Scenario::Submit => {
            for _ in 0..arguments.runs.max(1) {
                runs.push(runtime.block_on(submit::measure(clients, time))?);
            }
            "submit"
        }
        Scenario::EndToEnd => {
            for _ in 0..arguments.runs.max(1) {
                runs.push(runtime.block_on(end_to_end::measure(clients, time))?);
            }
            "end_to_end"
        }
        Scenario::Cli => {
            let server = runtime.block_on(server::Server::start())?;
            return commands::measure(&server, arguments.json);
        }
        Scenario::Flood => return runtime.block_on(flood::measure(time, arguments.json)),
    };
    report::print(name, clients, &runs, arguments.json)
}
