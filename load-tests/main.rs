//! Measures a hive from outside: `cargo run --release -p load-tests -- SCENARIO`.
//!
//! It starts a server of its own with default settings (login, events, synchronous=FULL) in a throw-away folder, counts
//! afterwards over the API what is really there, and compares a thousand tasks. The load generator runs on the same machine
//! and takes its share of the processors; both shares are in the report.

mod agents;
mod all;
mod ceilings;
mod commands;
mod database;
mod end_to_end;
mod fan_out;
mod flood;
mod growth;
mod idle;
mod latency;
mod layers;
mod loopback;
mod mixed;
mod pace;
mod page;
mod peer;
mod peer_worker;
mod plan;
mod print;
mod process;
mod reads;
mod report;
mod sample;
mod server;
mod slow_disk;
mod soak;
mod submit;
mod tally;
mod task;
mod wire;
mod worker;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::Value;
use tokio::task::LocalSet;

use crate::plan::Plan;
use crate::report::{Machine, Report};
use crate::server::{Ground, Server};
use crate::slow_disk::SlowDisk;

/// How long a run counts where nothing else was said.
const TIME: Duration = Duration::from_secs(10);
/// The same of a quick one.
const QUICK_TIME: Duration = Duration::from_secs(2);
/// Runs of each case where nothing else was said.
const RUNS: usize = 3;

/// Measures a hive from outside.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    /// What else there is to do.
    #[command(subcommand)]
    other: Option<Other>,
    /// What to measure.
    #[arg(required = true)]
    scenario: Option<Scenario>,
    /// Clients at a time, in place of those of the scenario.
    #[arg(long)]
    clients: Option<usize>,
    /// Seconds that each run counts, after two seconds to warm up [default: 10; mixed 300, soak 1800].
    #[arg(long)]
    seconds: Option<u64>,
    /// Runs of each case; the report has each, and the median [default: 3; growth and soak 1].
    #[arg(long)]
    runs: Option<usize>,
    /// Where the hive keeps everything; a PostgreSQL server is started for the measurement and ends with it.
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    database: Database,
    /// Makes each sync of a file take so many microseconds longer, as on an ordinary disk (SQLite only; needs gcc).
    #[arg(long, default_value_t = 0)]
    sync_delay_us: u64,
    /// One run of two seconds of each case, to see whether everything works.
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of text; `all` prints a line for each scenario.
    #[arg(long)]
    json: bool,
    /// Writes the report into this folder, too: as JSON, as Markdown, and as a page with plots.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// What measures nothing.
#[derive(Debug, Subcommand)]
enum Other {
    /// Makes a page with plots of all reports in a folder.
    Page(page::Arguments),
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    /// A file in the data folder.
    Sqlite,
    /// A server of its own, with its defaults (fsync, synchronous_commit), over a socket.
    Postgres,
}

impl Database {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Submits that are acknowledged: one task a request, and a hundred.
    Submit,
    /// Tasks that are completed by workers outside, over lease calls and over sessions.
    EndToEnd,
    /// From submit to start, at fixed rates.
    Latency,
    /// More and more agents that work, and many that are connected.
    Agents,
    /// Reads of several kinds.
    Reads,
    /// Everything at once at a fixed rate, five minutes each.
    Mixed,
    /// One store that grows to five million tasks.
    Growth,
    /// Sessions over WebSocket that hear of every task; one of ten never reads.
    FanOut,
    /// A hive with nothing to do.
    Idle,
    /// The mixed load for half an hour.
    Soak,
    /// Each command of `hive`, from start to end of its process; needs neither clients nor runs.
    Cli,
    /// The work of the systems that the hive is compared with, phase by phase; a record each run, as JSON.
    Peer,
    /// Other tasks beside a process that prints without end; needs neither clients nor runs.
    Flood,
    /// All above that have cases and runs, one after the other; with `--quick` in less than ten minutes.
    All,
}

fn main() -> Result<()> {
    // What this program starts of itself.
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some(ceilings::PLAIN_SERVER) => {
            return actix_web::rt::System::new().block_on(ceilings::serve_plainly());
        }
        Some(peer_worker::PEER_WORKER) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return LocalSet::new().block_on(&runtime, peer_worker::work(words));
        }
        Some(loopback::PLAIN_FRAMES) => return loopback::write_plainly(words),
        _ => {}
    }
    match Arguments::parse() {
        Arguments { other: Some(Other::Page(arguments)), .. } => page::make(&arguments),
        Arguments { scenario: None, .. } => bail!("say what to measure; --help lists it"),
        arguments @ Arguments { scenario: Some(scenario), .. } => {
            // Load that does not wait for answers needs connections as long as there are none.
            let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            let all = rustix::process::Rlimit { current: files.maximum, maximum: files.maximum };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, all)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            LocalSet::new().block_on(&runtime, measure(&arguments, scenario))
        }
    }
}

impl Arguments {
    /// How long each run counts, of what usually takes so long.
    fn time(&self, usual: Duration) -> Duration {
        match self.seconds {
            Some(seconds) => Duration::from_secs(seconds),
            None if self.quick => QUICK_TIME,
            None => usual,
        }
    }

    /// Runs of each case where nothing else was said.
    const fn usual_runs(&self) -> usize {
        if self.quick { 1 } else { RUNS }
    }

    /// With a ground of its own.
    fn plan(&self, usual: Duration, runs: usize) -> Result<Plan> {
        let (time, runs, ground) = (self.time(usual), self.runs.unwrap_or(runs), self.ground()?);
        Ok(Plan { clients: self.clients, time, runs, ground, is_quick: self.quick })
    }

    /// What the hives stand on.
    fn ground(&self) -> Result<Ground> {
        let is_sqlite = self.database == Database::Sqlite;
        let delay = Duration::from_micros(self.sync_delay_us);
        ensure!(
            is_sqlite || delay.is_zero(),
            "--sync-delay-us delays the syncs of the hive, and PostgreSQL has its own"
        );
        Ok(Ground {
            database: if is_sqlite { None } else { Some(Rc::new(database::Server::start()?)) },
            disk: if delay.is_zero() { None } else { Some(Rc::new(SlowDisk::of(delay)?)) },
        })
    }
}

async fn measure(arguments: &Arguments, scenario: Scenario) -> Result<()> {
    let is_sqlite = arguments.database == Database::Sqlite;
    match scenario {
        Scenario::All => all::measure(arguments).await,
        Scenario::Cli => {
            ensure!(is_sqlite, "commands about files are among those that are measured: on SQLite");
            commands::measure(&Server::start(&Ground::default()).await?, arguments.json)
        }
        Scenario::Peer => {
            let plan = arguments.plan(TIME, arguments.usual_runs())?;
            told_as_peer(arguments, &peer::measure(&plan).await?)
        }
        Scenario::Flood => {
            ensure!(is_sqlite, "what a file grows by is among what is measured: on SQLite");
            flood::measure(arguments.time(TIME), arguments.json).await
        }
        _ => {
            let report = report_of(arguments, scenario).await?;
            if let Some(folder) = &arguments.out {
                page::write_report(folder, &report)?;
            }
            let json = || serde_json::to_string_pretty(&report);
            print!("{}", if arguments.json { json()? + "\n" } else { print::text(&report) });
            Ok(())
        }
    }
}

/// Measures what has cases and runs.
async fn report_of(arguments: &Arguments, scenario: Scenario) -> Result<Report> {
    let plan = |usual, runs| arguments.plan(usual, runs);
    let once = arguments.usual_runs();
    let (name, about, (cases, ceilings)) = match scenario {
        Scenario::Submit => ("submit", submit::ABOUT, submit::measure(&plan(TIME, once)?).await?),
        Scenario::EndToEnd => {
            ("end_to_end", end_to_end::ABOUT, end_to_end::measure(&plan(TIME, once)?).await?)
        }
        Scenario::Latency => ("latency", latency::ABOUT, latency::measure(&plan(TIME, once)?).await?),
        Scenario::Agents => ("agents", agents::ABOUT, agents::measure(&plan(TIME, once)?).await?),
        Scenario::Reads => ("reads", reads::ABOUT, reads::measure(&plan(TIME, once)?).await?),
        Scenario::Mixed => ("mixed", mixed::ABOUT, mixed::measure(&plan(mixed::TIME, 1)?).await?),
        Scenario::Growth => ("growth", growth::ABOUT, growth::measure(&plan(TIME, 1)?).await?),
        Scenario::FanOut => ("fan_out", fan_out::ABOUT, fan_out::measure(&plan(TIME, once)?).await?),
        Scenario::Idle => ("idle", idle::ABOUT, idle::measure(&plan(TIME, once)?).await?),
        Scenario::Soak => ("soak", soak::ABOUT, soak::measure(&plan(soak::TIME, 1)?).await?),
        Scenario::All | Scenario::Cli | Scenario::Flood | Scenario::Peer => {
            bail!("{scenario:?} has no cases and runs")
        }
    };
    Ok(Report {
        scenario: name.to_owned(),
        database: match arguments.sync_delay_us {
            0 => arguments.database.name().to_owned(),
            delay => format!("{}+{delay}us", arguments.database.name()),
        },
        about: about.to_owned(),
        date: now("+%F")?,
        version: version(),
        command: command(),
        machine: Machine::here()?,
        cases,
        ceilings,
    })
}

/// Prints the records of a comparison, a line each, and adds them to those in the folder that was asked for.
fn told_as_peer(arguments: &Arguments, records: &[Value]) -> Result<()> {
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)?;
        let mut file = std::fs::File::options().create(true).append(true).open(folder.join("peers.jsonl"))?;
        file.write_all(lines.as_bytes())?;
    }
    print!("{lines}");
    Ok(())
}

/// How this program was called.
fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo run --release -p load-tests -- {}", words.join(" "))
}

/// The time in UTC, in a form of `date`.
fn now(form: &str) -> Result<String> {
    said_by(Command::new("date").args(["-u", form]))
}

/// The commit; that of the package where there is no repository.
fn version() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let described =
        said_by(Command::new("git").arg("-C").arg(root).args(["describe", "--always", "--dirty"]));
    described.unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned())
}

fn said_by(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
