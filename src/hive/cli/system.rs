//! `hive system`: how the hive is doing.

use std::time::Duration;

use clap::{Args, Subcommand};
use protocol::SystemView;

use super::Context;
use super::system_actors::SystemActors;
use super::system_health::SystemHealth;
use super::system_metrics::SystemMetrics;
use super::system_nodes::SystemNodes;
use super::system_performance::SystemPerformance;
use super::table::{Facts, state, text};
use super::words::{count, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::in_words;

/// The flags.
#[derive(Debug, Args)]
pub struct System {
    /// Where to look closer
    #[command(subcommand)]
    closer: Option<Closer>,
}

/// What there is to look at.
#[derive(Debug, Subcommand)]
enum Closer {
    /// Show the supervision tree: who lives, how it fares, what failed lately
    Actors(SystemActors),
    /// Show how each part is doing; ends with 9 when the hive cannot serve
    Health(SystemHealth),
    /// Print the metrics, as Prometheus reads them
    Metrics(SystemMetrics),
    /// List the processes of the hive, with the memory and processor time they use
    Nodes(SystemNodes),
    /// Show what the hive did in the last hour, or in another range of time
    Performance(SystemPerformance),
}

impl System {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.closer {
            Some(Closer::Actors(command)) => return command.run(context).await,
            Some(Closer::Health(command)) => return command.run(context).await,
            Some(Closer::Metrics(command)) => return command.run(context).await,
            Some(Closer::Nodes(command)) => return command.run(context).await,
            Some(Closer::Performance(command)) => return command.run(context).await,
            None => {}
        }
        let system = context.client.system().await?;
        if context.screen.is_json() {
            context.screen.line(system.text())?;
        } else {
            let shown = facts(&system, context.client.base_url());
            context.screen.facts(&shown)?;
        }
        Ok(Exit::Fine)
    }
}

pub(super) fn facts(system: &SystemView, url: &str) -> Facts {
    let mut facts = Facts::default();
    facts.add("hive", text(format!("{} at {url}", system.version)));
    facts.add("phase", state(&system.phase));
    facts.add("up", text(up(system.uptime_seconds)));
    facts.add("data", text(format!("{} ({})", system.data_dir, system.database)));
    let tasks = &system.tasks;
    facts.add(
        "tasks",
        text(of_kinds(
            counted(tasks.total, "task"),
            &[
                (tasks.queued, "queued"),
                (tasks.scheduled, "scheduled"),
                (tasks.working, "working"),
                (tasks.completed, "completed"),
                (tasks.failed, "failed"),
                (tasks.canceled, "canceled"),
            ],
        )),
    );
    let agents = &system.agents;
    facts.add(
        "agents",
        text(of_kinds(
            counted(agents.total, "agent"),
            &[
                (agents.idle, "idle"),
                (agents.working, "working"),
                (agents.draining, "draining"),
                (agents.stalled, "stalled"),
                (agents.offline, "offline"),
                (agents.failed, "failed"),
            ],
        )),
    );
    facts.add("log", text(format!("events {} to {}", system.log.first_seq, system.log.last_seq)));
    let rates = system.rates;
    let shown = format!(
        "{:.1} submitted/s, {:.1} started/s, {:.1} completed/s, {:.1} failed/s (mean of {} s)",
        rates.submitted_per_second,
        rates.started_per_second,
        rates.completed_per_second,
        rates.failed_per_second,
        rates.window_seconds
    );
    facts.add("rates", text(shown));
    facts
}

fn up(seconds: u64) -> String {
    if seconds == 0 { "less than a second".to_owned() } else { in_words(Duration::from_secs(seconds)) }
}

/// `42 tasks: 40 completed, 2 failed`; kinds without any are left out.
fn of_kinds(total: String, kinds: &[(u64, &str)]) -> String {
    let known: Vec<String> = kinds
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, kind)| format!("{} {kind}", count(*number)))
        .collect();
    if known.is_empty() { total } else { format!("{total}: {}", known.join(", ")) }
}
