//! Submits and workers outside the process at the same time: counts tasks that are completed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::database::Server as Database;
use crate::layers;
use crate::report::Run;
use crate::server::Server;
use crate::submit::{Tally, WARM_UP, submit, watch};

/// Workers, each with a connection.
const WORKERS: usize = 8;
/// Assignments that a worker leases, and completes, at a time.
const BATCH: usize = 100;

/// Runs it once.
pub async fn measure(clients: usize, time: Duration, database: Option<&Database>) -> Result<Run> {
    let server = Server::start(database).await?;
    let body =
        json!({"name": "load", "role": "worker", "capacity": WORKERS * BATCH, "link": {"kind": "worker"}});
    let (status, agent) = server.post("/api/v2/agents", body.to_string()).await?;
    ensure!(status == 201, "the agent was not registered: {agent}");
    let agent = agent["id"].as_str().context("an id")?.to_owned();
    let (submits, completions) = (Tally::new(time)?, Tally::new(time)?);
    let load = try_join_all((0..clients).map(|name| submit(&server, &submits, name)));
    let workers = try_join_all((0..WORKERS).map(|name| work(&server, &agent, &completions, name)));
    let (load, workers, cpu) = tokio::join!(load, workers, watch(&server, WARM_UP, time));
    load?;
    workers?;
    let all = completions.borrow().all;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stored = server.count("completed").await?;
    ensure!(stored == all, "{all} completions were acknowledged, {stored} tasks are completed");
    let layers = layers::of(&server, all).await?;
    let (tally, refused) = (completions.borrow(), submits.borrow().refused);
    Ok(Run { layers, ..Run::new((tally.count, refused), time, &tally.latency, cpu?, server.rss_mib()?) })
}

/// One worker: leases and completes until the end.
async fn work(server: &Server, agent: &str, tally: &Rc<RefCell<Tally>>, name: usize) -> Result<()> {
    let end = tally.borrow().end;
    let lease = json!({"max": BATCH, "wait_ms": 200, "worker_instance": format!("w{name}")}).to_string();
    while Instant::now() < end {
        let (status, leased) = server.post(&format!("/api/v2/agents/{agent}/lease"), lease.clone()).await?;
        ensure!(status == 200 || status == 503, "a lease was answered {status}: {leased}");
        let Some(assignments) = leased["assignments"].as_array().filter(|list| !list.is_empty()) else {
            continue;
        };
        let items: Vec<_> = assignments
            .iter()
            .map(|there| json!({"task_id": there["task_id"], "attempt": there["attempt"], "result": {"ok": true}}))
            .collect();
        let sent = Instant::now();
        let (status, answer) =
            server.post("/api/v2/leases/complete", json!({ "items": items }).to_string()).await?;
        ensure!(status == 200, "a completion was answered {status}: {answer}");
        let list = answer["items"].as_array().context("items")?;
        let good = list.iter().filter(|item| item["status"] == 200).count();
        tally.borrow_mut().add(sent, u64::try_from(good)?);
    }
    Ok(())
}
