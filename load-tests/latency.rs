//! From submit to start at a fixed rate: tasks arrive whether or not the ones before were answered, and one worker over a
//! session takes them. The time counts from when a task was due until its assignment was read.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::end_to_end::Way;
use crate::pace::{Pool, arrivals};
use crate::plan::{Plan, tally, verified, watch};
use crate::report::{Case, Ceiling, Run};
use crate::sample::Sample;
use crate::server::Server;
use crate::tally::Tally;
use crate::task::{Numbers, Template};
use crate::worker::{Work, over_leases, over_session};

/// What it is about.
pub const ABOUT: &str =
    "From when a task is due to be submitted until a worker has read its assignment, at a fixed rate";
/// Tasks a second.
const RATES: [f64; 3] = [100.0, 500.0, 2_000.0];
/// Assignments that the worker has at a time.
const SLOTS: usize = 1_000;
/// Connections for submits at the beginning.
const CONNECTIONS: usize = 16;

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let mut cases = Vec::new();
    for rate in RATES {
        for (way, words) in [(Way::Sessions, "a session"), (Way::Leases, "lease calls")] {
            let name = format!("{rate} tasks a second, a worker over {words}");
            cases.push(plan.case(&name, "tasks", |server| arrive(server, plan, rate, way)).await?);
        }
    }
    Ok((cases, Vec::new()))
}

async fn arrive(server: Server, plan: &Plan, rate: f64, way: Way) -> Result<Run> {
    let agent = server.agent("load", SLOTS, &[]).await?;
    let (submits, completions) = (tally(plan)?, tally(plan)?);
    let is_submitted = Rc::new(Cell::new(false));
    let is_over = {
        let (submits, completions, is_submitted) =
            (submits.clone(), completions.clone(), Rc::clone(&is_submitted));
        Rc::new(move || is_submitted.get() && completions.all() >= submits.all())
    };
    let all =
        Work { completions: completions.clone(), starts: tally(plan)?, sample: Sample::default(), is_over };
    let load = async {
        let answered = submit_at(&server, rate, (Instant::now(), submits.end()), &submits).await;
        // Also when it failed: the worker need not wait for what never comes.
        is_submitted.set(true);
        answered
    };
    let place = server.place();
    let worker = async {
        match way {
            Way::Leases => over_leases(&place, &agent, &all, SLOTS).await,
            Way::Sessions => over_session(&place, &agent, &all, SLOTS).await,
        }
    };
    let (load, worker, cpus) = tokio::join!(load, worker, watch(&server, &submits));
    load?;
    worker?;
    let run = verified(&server, &completions, (&all.sample, "completed"), cpus?).await?;
    let latency = [("submit", &submits), ("submit to start", &all.starts), ("report", &completions)];
    let latency = latency.map(|(name, tally)| (name.to_owned(), tally.latency()));
    Ok(Run { latency: BTreeMap::from(latency), ..run })
}

/// Submits at a rate within a time, each whether or not those before were answered.
pub async fn submit_at(
    server: &Server,
    rate: f64,
    (begin, end): (Instant, Instant),
    tally: &Tally,
) -> Result<()> {
    let place = server.place();
    let pool = Pool::new(place.clone(), CONNECTIONS).await?;
    let (numbers, template) = (Numbers::default(), Template::new(&place, ""));
    let mut due = arrivals(rate, begin, end);
    let mut under_way = JoinSet::new();
    while let Some(due) = due.recv().await {
        let (pool, tally, mut template) = (pool.clone(), tally.clone(), template.clone());
        let number = numbers.next();
        under_way.spawn_local(async move {
            let mut wire = pool.take().await?;
            let answer = wire.ask(template.with(number, due)).await?;
            ensure!(answer.status == 201, "a submit was answered {}: {}", answer.status, answer.text());
            tally.add_due(due, 1);
            pool.give_back(wire);
            anyhow::Ok(())
        });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}
