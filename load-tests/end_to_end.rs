//! Submits, and workers outside the process, at the same time: counts tasks whose completion was acknowledged.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use crate::plan::{Plan, measured, tally, watch};
use crate::report::{Case, Ceiling, Run};
use crate::sample::Sample;
use crate::server::Server;
use crate::submit;
use crate::tally::Tally;
use crate::task::Numbers;
use crate::worker::{Work, over_leases, over_session};

/// What it is about.
pub const ABOUT: &str =
    "Tasks whose completion is acknowledged, per second, while 64 clients submit one task a request";
const CLIENTS: usize = 64;
/// Workers, each with a connection of its own.
const WORKERS: usize = 8;
/// Assignments that a worker has at a time.
const SLOTS: usize = 100;

/// How workers come by their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Leases,
    Sessions,
}

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let mut cases = Vec::new();
    for clients in plan.clients_or(&[CLIENTS]) {
        for (way, words) in [(Way::Leases, "lease calls of 100"), (Way::Sessions, "sessions of 100 slots")] {
            let name = format!("{clients} clients, {WORKERS} workers over {words}");
            let run = |server| work(server, plan, clients, (way, WORKERS, SLOTS));
            cases.push(plan.case(&name, "tasks", run).await?);
        }
    }
    Ok((cases, Vec::new()))
}

/// One run: so many clients submit, so many workers of one agent complete.
async fn work(server: Server, plan: &Plan, clients: usize, (way, workers, slots): Shape) -> Result<Run> {
    let agent = server.agent("load", workers * slots, &[]).await?;
    let round =
        round(&server, plan, (clients, "", &Numbers::default()), (&agent, way, workers, slots)).await?;
    round.verified(&server).await
}

/// The way of so many workers, with so many slots each.
type Shape = (Way, usize, usize);

/// What a round of load saw.
pub struct Round {
    submits: Tally,
    completions: Tally,
    starts: Tally,
    sample: Sample,
    cpus: BTreeMap<String, f64>,
}

/// So many clients submit tasks that require a capability, so many workers of an agent complete them all.
pub async fn round(
    server: &Server,
    plan: &Plan,
    (clients, requires, numbers): (usize, &str, &Numbers),
    (agent, way, workers, slots): (&str, Way, usize, usize),
) -> Result<Round> {
    let (submits, completions) = (tally(plan)?, tally(plan)?);
    let end = completions.end();
    let (submitted, done) = (submits.clone(), completions.clone());
    let is_over = Rc::new(move || Instant::now() >= end && done.all() >= submitted.all());
    let sample = Sample::default();
    let all =
        Work { completions: completions.clone(), starts: tally(plan)?, sample: sample.clone(), is_over };
    let (place, unsampled) = (server.place(), Sample::default());
    let load =
        try_join_all((0..clients).map(|_| submit::one(&place, &submits, &unsampled, numbers, requires)));
    let workers = try_join_all((0..workers).map(async |_| match way {
        Way::Leases => over_leases(&place, agent, &all, slots).await,
        Way::Sessions => over_session(&place, agent, &all, slots).await,
    }));
    let (load, workers, cpus) = tokio::join!(load, workers, watch(server, &completions));
    load?;
    workers?;
    Ok(Round { submits, completions, starts: all.starts, sample, cpus: cpus? })
}

impl Round {
    /// Completions that were acknowledged, in the warm-up and behind the end too.
    pub fn completed(&self) -> u64 {
        self.completions.all()
    }

    /// Checks that the hive has what it acknowledged, and nothing else.
    ///
    /// # Errors
    /// When it has not.
    pub async fn verified(self, server: &Server) -> Result<Run> {
        let stored = server.count("completed").await?;
        let all = self.completed();
        ensure!(stored == all, "{all} completions were acknowledged, {stored} tasks are completed");
        self.compared(server).await
    }

    /// Compares some of the tasks, and puts the run together.
    ///
    /// # Errors
    /// When one is not as it was acknowledged.
    pub async fn compared(self, server: &Server) -> Result<Run> {
        let run = measured(server, &self.completions, (&self.sample, &["completed"]), self.cpus).await?;
        let latency =
            [("submit", &self.submits), ("submit to start", &self.starts), ("report", &self.completions)];
        let latency = latency.map(|(name, tally)| (name.to_owned(), tally.latency()));
        Ok(Run { refused: self.submits.refused(), latency: BTreeMap::from(latency), ..run })
    }
}
