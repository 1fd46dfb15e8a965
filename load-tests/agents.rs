//! What agents cost: more and more of them that work, each over a session of its own, and many that only are there.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;
use futures_util::future::try_join_all;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::plan::{Plan, tally, verified, watch};
use crate::report::{Case, Ceiling, Run};
use crate::sample::Sample;
use crate::server::Server;
use crate::submit;
use crate::task::Numbers;
use crate::worker::{Work, open_session, over_session};

/// What it is about.
pub const ABOUT: &str = "Tasks completed per second by more and more agents, each with four slots and a session of its own, while 64 clients submit; \
     and beside agents that are connected and have nothing to do";
const CLIENTS: usize = 64;
/// Agents that work.
const WORKING: [usize; 4] = [10, 50, 100, 250];
/// Agents that are connected, the ten that work among them. The second is as many sessions as a hive takes.
const CONNECTED: [usize; 2] = [1_000, 10_000];
/// Slots of each that works.
const SLOTS: usize = 4;
/// Sessions that are opened at a time.
const OPENED_TOGETHER: usize = 50;
/// What tasks require, so that those who only are there get none.
const REQUIRED: &str = "work";

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let mut cases = Vec::new();
    for working in WORKING {
        let name = format!("{working} agents work");
        cases.push(plan.case(&name, "tasks", |server| work(server, plan, working, 0)).await?);
    }
    let connected: &[usize] = if plan.is_quick { &CONNECTED[..1] } else { &CONNECTED };
    for connected in connected {
        let name = format!("{connected} agents are connected, 10 of them work");
        cases.push(plan.case(&name, "tasks", |server| work(server, plan, 10, connected - 10)).await?);
    }
    Ok((cases, Vec::new()))
}

/// So many agents work, and so many more are connected.
async fn work(server: Server, plan: &Plan, working: usize, connected: usize) -> Result<Run> {
    let before_mib = server.rss_mib()?;
    let is_done = Rc::new(Cell::new(false));
    for first in (0..connected).step_by(OPENED_TOGETHER) {
        let some =
            (first..connected.min(first + OPENED_TOGETHER)).map(|number| be_there(&server, number, &is_done));
        try_join_all(some).await?;
    }
    let connected_mib = server.rss_mib()?;
    let agents = try_join_all(
        (0..working).map(async |number| server.agent(&format!("working-{number}"), SLOTS, &[REQUIRED]).await),
    )
    .await?;
    let (submits, completions, numbers) = (tally(plan)?, tally(plan)?, Numbers::default());
    let end = completions.end();
    let (submitted, done) = (submits.clone(), completions.clone());
    let is_over = Rc::new(move || Instant::now() >= end && done.all() >= submitted.all());
    let all =
        Work { completions: completions.clone(), starts: tally(plan)?, sample: Sample::default(), is_over };
    let (place, unsampled) = (server.place(), Sample::default());
    let load =
        try_join_all((0..CLIENTS).map(|_| submit::one(&place, &submits, &unsampled, &numbers, REQUIRED)));
    let workers = try_join_all(agents.iter().map(|agent| over_session(&place, agent, &all, SLOTS)));
    let (load, workers, cpus) = tokio::join!(load, workers, watch(&server, &completions));
    load?;
    workers?;
    is_done.set(true);
    let run = verified(&server, &completions, (&all.sample, "completed"), cpus?).await?;
    let mut figures = BTreeMap::new();
    if connected > 0 {
        let kib = (connected_mib - before_mib) * 1_024.0;
        figures.insert("KiB of memory an agent that is connected".to_owned(), kib / connected as f64);
    }
    let latency = [("submit", &submits), ("submit to start", &all.starts), ("report", &completions)];
    let latency = latency.map(|(name, tally)| (name.to_owned(), tally.latency()));
    Ok(Run { refused: submits.refused(), latency: BTreeMap::from(latency), figures, ..run })
}

/// Registers an agent and keeps a session of it open, with a slot that nothing comes into.
async fn be_there(server: &Server, number: usize, is_done: &Rc<Cell<bool>>) -> Result<()> {
    let agent = server.agent(&format!("connected-{number}"), 1, &[]).await?;
    let mut session = open_session(&server.place(), &agent).await?;
    session.send(Message::text(json!({"type": "ready", "slots": 1}).to_string())).await?;
    let is_done = Rc::clone(is_done);
    // It answers pings as long as it is read.
    tokio::task::spawn_local(async move { while !is_done.get() && session.next().await.is_some() {} });
    Ok(())
}
