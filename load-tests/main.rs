//! Measures a hive from outside: `cargo run --release -p load-tests -- SCENARIO`.
//!
//! It starts a server of its own with default settings (login, events, synchronous=FULL) in a throw-away folder, and
//! counts afterwards over the API what is really there. The load generator runs on the same machine and takes its share
//! of the processors; both shares are in the report.

mod commands;
mod database;
mod end_to_end;
mod fan_out;
mod flood;
mod layers;
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
    /// Where the hive keeps everything; a PostgreSQL server is started for the measurement and ends with it.
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    database: Database,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    /// A file in the data folder.
    Sqlite,
    /// A server of its own, with its defaults (fsync, synchronous_commit), over a socket.
    Postgres,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scenario {
    /// One task a request; counts submits that were acknowledged.
    Submit,
    /// Submits and workers that lease and complete in batches of 100; counts tasks that are completed.
    EndToEnd,
    /// Each command of `hive`, from start to end of its process; needs neither clients nor runs.
    Cli,
    /// So many sessions over WebSocket, of which one of ten never reads; needs no runs.
    FanOut,
    /// Other tasks beside a process that prints without end; needs neither clients nor runs.
    Flood,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (clients, time) = (arguments.clients, Duration::from_secs(arguments.seconds));
    let database = match arguments.database {
        Database::Sqlite => None,
        Database::Postgres => Some(database::Server::start()?),
    };
    let database = database.as_ref();
    let mut runs = Vec::new();
    let name = match arguments.scenario {
        Scenario::Submit => {
            for _ in 0..arguments.runs.max(1) {
                runs.push(runtime.block_on(submit::measure(clients, time, database))?);
            }
            "submit"
        }
        Scenario::EndToEnd => {
            for _ in 0..arguments.runs.max(1) {
                runs.push(runtime.block_on(end_to_end::measure(clients, time, database))?);
            }
            "end_to_end"
        }
        Scenario::Cli => {
            anyhow::ensure!(
                database.is_none(),
                "commands about files are among those that are measured: on SQLite"
            );
            let server = runtime.block_on(server::Server::start(None))?;
            return commands::measure(&server, arguments.json);
        }
        Scenario::FanOut => {
            anyhow::ensure!(database.is_none(), "what a session costs is measured on SQLite");
            return runtime.block_on(fan_out::measure(clients, time, arguments.json));
        }
        Scenario::Flood => {
            anyhow::ensure!(database.is_none(), "what a file grows by is among what is measured: on SQLite");
            return runtime.block_on(flood::measure(time, arguments.json));
        }
    };
    report::print((name, arguments.database), clients, &runs, arguments.json)
}
