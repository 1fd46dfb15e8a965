//! How often and how long is measured, and what every measurement takes note of.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::layers;
use crate::process::own_cpu;
use crate::report::{Case, Run};
use crate::sample::Sample;
use crate::server::{Ground, Server};
use crate::tally::{Tally, WARM_UP};

/// What was asked for on the command line.
#[derive(Clone)]
pub struct Plan {
    /// Clients, in place of those of the scenario.
    pub clients: Option<usize>,
    /// How long each run counts, after its warm-up.
    pub time: Duration,
    /// Runs of each case.
    pub runs: usize,
    /// What the hives stand on.
    pub ground: Ground,
    /// Only to see whether everything works: short runs, and few of them.
    pub is_quick: bool,
}

impl Plan {
    /// Starts a hive with default settings.
    pub async fn serve(&self) -> Result<Server> {
        Server::start(&self.ground).await
    }

    /// The case's runs, one after the other, each with a hive of its own.
    pub async fn case<F>(&self, name: &str, unit: &str, run: impl Fn(Server) -> F) -> Result<Case>
    where
        F: Future<Output = Result<Run>>,
    {
        let mut runs = Vec::new();
        for number in 1..=self.runs.max(1) {
            let done = run(self.serve().await?).await.with_context(|| format!("{name}, run {number}"))?;
            eprintln!("{name}, run {number} of {}: {:.0} {unit}/s", self.runs.max(1), done.per_second);
            runs.push(done);
        }
        Ok(Case { name: name.to_owned(), unit: unit.to_owned(), runs })
    }

    /// How much longer a sync takes than on the disk of this machine, in microseconds.
    pub fn delay_us(&self) -> u128 {
        self.ground.disk.as_ref().map_or(0, |disk| disk.delay.as_micros())
    }

    /// The numbers of clients to measure with: the one that was asked for, or those of the scenario.
    pub fn clients_or(&self, usual: &[usize]) -> Vec<usize> {
        self.clients.map_or_else(|| usual.to_vec(), |clients| vec![clients])
    }
}

/// Processors that are busy while it is counted, by whose work.
pub async fn watch(server: &Server, tally: &Tally) -> Result<BTreeMap<String, f64>> {
    tokio::time::sleep_until(tally.begin().into()).await;
    let now = || anyhow::Ok([server.cpu()?, own_cpu()?, server.database_cpu()?]);
    let before = now()?;
    tokio::time::sleep_until(tally.end().into()).await;
    let seconds = (tally.end() - tally.begin()).as_secs_f64();
    let busy = now()?
        .into_iter()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before).as_secs_f64() / seconds);
    let names = ["hive", "load", "database"].map(str::to_owned);
    Ok(names.into_iter().zip(busy).filter(|(name, busy)| name != "database" || *busy > 0.0).collect())
}

/// Checks that the hive has all that it acknowledged, and nothing else, and puts the run together.
pub async fn verified(
    server: &Server,
    tally: &Tally,
    (sample, state): (&Sample, &str),
    cpus: BTreeMap<String, f64>,
) -> Result<Run> {
    let stored = server.count(state).await?;
    ensure!(stored == tally.all(), "{} were acknowledged, {stored} tasks are {state}", tally.all());
    measured(server, tally, (sample, &[state]), cpus).await
}

/// Compares some of the tasks, and puts the run together.
pub async fn measured(
    server: &Server,
    tally: &Tally,
    (sample, states): (&Sample, &[&str]),
    cpus: BTreeMap<String, f64>,
) -> Result<Run> {
    let seconds = (tally.end() - tally.begin()).as_secs_f64();
    let (rss_mib, layers) = (server.rss_mib()?, layers::of(server, tally.all()).await?);
    Ok(Run {
        per_second: rate(tally.count(), seconds),
        count: tally.count(),
        refused: tally.refused(),
        cpus,
        rss_mib,
        compared: sample.compare(server, states).await?,
        layers,
        ..Run::default()
    })
}

/// So many in so many seconds.
pub fn rate(count: u64, seconds: f64) -> f64 {
    // Exact up to 2^53.
    count as f64 / seconds
}

/// Where counting begins and ends of a load that begins now.
pub fn tally(plan: &Plan) -> Result<Tally> {
    let warm_up = if plan.is_quick { WARM_UP / 4 } else { WARM_UP };
    Tally::from(std::time::Instant::now() + warm_up, plan.time)
}
