//! Reads, each by clients that wait for their answer, over a store with tasks in it.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::ceilings;
use crate::plan::{Plan, rate, tally, watch};
use crate::report::{Case, Ceiling, Run};
use crate::server::Server;
use crate::tally::Tally;
use crate::task::{Numbers, body};
use crate::wire::Place;

/// What it is about.
pub const ABOUT: &str = "Reads that are answered, per second, over 10,000 stored tasks";
const CLIENTS: usize = 64;
/// Tasks that are there.
const TASKS: usize = 10_000;
/// Tasks that are submitted at a time.
const BULK: usize = 500;

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let (mut cases, mut ceilings) = (Vec::new(), Vec::new());
    for clients in plan.clients_or(&[CLIENTS]) {
        let kinds = [
            ("GET /health/live", "/health/live"),
            ("GET /api/v2/tasks/{id}", "/api/v2/tasks/"),
            ("GET /api/v2/tasks, 20 of them", "/api/v2/tasks?limit=20"),
            ("GET /api/v2/system", "/api/v2/system"),
        ];
        let names = kinds.map(|(name, _)| format!("{name}, {clients} clients"));
        for ((_, path), name) in kinds.into_iter().zip(&names) {
            cases.push(plan.case(name, "requests", |server| read(server, plan, clients, path)).await?);
        }
        ceilings.push(ceilings::plain_http(plan, clients, &names).await?);
    }
    Ok((cases, ceilings))
}

/// Stores tasks; answers their ids.
pub async fn fill(place: &Place, count: usize, numbers: &Numbers) -> Result<Vec<String>> {
    let (mut wire, mut ids) = (place.connect().await?, Vec::new());
    while ids.len() < count {
        let tasks: Vec<String> =
            (0..BULK.min(count - ids.len())).map(|_| body(numbers.next(), Instant::now(), "")).collect();
        let request = place.post("/api/v2/tasks/bulk", &format!(r#"{{"tasks":[{}]}}"#, tasks.join(",")));
        let answer: Value = wire.ask(&request).await?.json(200)?;
        let items = answer["items"].as_array().into_iter().flatten();
        ids.extend(items.filter_map(|item| item["task"]["id"].as_str()).map(str::to_owned));
    }
    Ok(ids)
}

async fn read(server: Server, plan: &Plan, clients: usize, path: &str) -> Result<Run> {
    let place = server.place();
    let ids = fill(&place, TASKS, &Numbers::default()).await?;
    let tally = tally(plan)?;
    let load =
        try_join_all((0..clients).map(|client| one(&place, &tally, path, ids.iter().cycle().skip(client))));
    let (load, cpus) = tokio::join!(load, watch(&server, &tally));
    load?;
    let seconds = (tally.end() - tally.begin()).as_secs_f64();
    Ok(Run {
        per_second: rate(tally.count(), seconds),
        count: tally.count(),
        latency: BTreeMap::from([("read".to_owned(), tally.latency())]),
        cpus: cpus?,
        rss_mib: server.rss_mib()?,
        ..Run::default()
    })
}

async fn one<'a>(
    place: &Place,
    tally: &Tally,
    path: &str,
    mut ids: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let mut wire = place.connect().await?;
    let one = path.ends_with("/tasks/");
    let mut request = place.get(path);
    loop {
        let sent = Instant::now();
        if sent >= tally.end() {
            return Ok(());
        }
        if let Some(id) = ids.next().filter(|_| one) {
            request = place.get(&format!("{path}{id}"));
        }
        let answer = wire.ask(&request).await?;
        ensure!(answer.status == 200, "{path} was answered {}: {}", answer.status, answer.text());
        tally.add(sent, 1);
    }
}
