//! Submits from clients that each wait for their answer: one task a request, and many.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ceilings;
use crate::plan::{Plan, tally, verified, watch};
use crate::report::{Case, Ceiling, Run};
use crate::sample::Sample;
use crate::server::Server;
use crate::tally::Tally;
use crate::task::{Numbers, Template, body};
use crate::wire::Place;

/// What it is about.
pub const ABOUT: &str = "Submits that are acknowledged, per second: one task a request, and a hundred";
/// Clients at a time.
const CLIENTS: [usize; 2] = [64, 256];
/// Clients that submit many at a time, and how many.
const BULK_CLIENTS: usize = 8;
const BULK: usize = 100;
/// How long a client waits that was refused.
const REFUSED_AGAIN: Duration = Duration::from_millis(10);

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let mut cases = Vec::new();
    let mut ceilings = Vec::new();
    for clients in plan.clients_or(&CLIENTS) {
        let name = format!("1 task a request, {clients} clients");
        cases.push(plan.case(&name, "tasks", |server| singly(server, plan, clients)).await?);
        ceilings.push(ceilings::plain_http(plan, clients, std::slice::from_ref(&name)).await?);
    }
    let name = format!("{BULK} tasks a request, {BULK_CLIENTS} clients");
    cases.push(plan.case(&name, "tasks", |server| in_bulk(server, plan)).await?);
    if plan.ground.database.is_none() && plan.ground.disk.is_none() {
        ceilings
            .extend(ceilings::disk(plan, &cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>())?);
    }
    Ok((cases, ceilings))
}

async fn singly(server: Server, plan: &Plan, clients: usize) -> Result<Run> {
    let (tally, sample, numbers) = (tally(plan)?, Sample::default(), Numbers::default());
    let place = server.place();
    let load = try_join_all((0..clients).map(|_| one(&place, &tally, &sample, &numbers, "")));
    let (load, cpus) = tokio::join!(load, watch(&server, &tally));
    load?;
    let run = verified(&server, &tally, (&sample, "queued"), cpus?).await?;
    Ok(Run { latency: BTreeMap::from([("submit".to_owned(), tally.latency())]), ..run })
}

/// One client: submits task by task until the end.
pub async fn one(
    place: &Place,
    tally: &Tally,
    sample: &Sample,
    numbers: &Numbers,
    requires: &str,
) -> Result<()> {
    let mut wire = place.connect().await?;
    let mut template = Template::new(place, requires);
    loop {
        let (sent, number) = (Instant::now(), numbers.next());
        if sent >= tally.end() || numbers.is_beyond(number) {
            return Ok(());
        }
        let answer = wire.ask(template.with(number, sent)).await?;
        match answer.status {
            201 => {
                tally.add(sent, 1);
                sample.offer(number, answer.body);
            }
            503 => {
                tally.refuse();
                tokio::time::sleep(REFUSED_AGAIN).await;
            }
            status => bail!("a submit was answered {status}: {}", answer.text()),
        }
    }
}

/// An answer to many submits.
#[derive(Deserialize)]
struct Many<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

/// One of them.
#[derive(Deserialize)]
struct Item<'a> {
    status: u16,
    #[serde(borrow)]
    task: Option<&'a RawValue>,
}

async fn in_bulk(server: Server, plan: &Plan) -> Result<Run> {
    let (tally, sample, numbers) = (tally(plan)?, Sample::default(), Numbers::default());
    let place = server.place();
    let load = try_join_all((0..BULK_CLIENTS).map(|_| many(&place, &tally, &sample, &numbers, BULK)));
    let (load, cpus) = tokio::join!(load, watch(&server, &tally));
    load?;
    let run = verified(&server, &tally, (&sample, "queued"), cpus?).await?;
    Ok(Run { latency: BTreeMap::from([(format!("submit of {BULK}"), tally.latency())]), ..run })
}

/// One client: submits so many a request until the end.
pub async fn many(
    place: &Place,
    tally: &Tally,
    sample: &Sample,
    numbers: &Numbers,
    count: usize,
) -> Result<()> {
    let mut wire = place.connect().await?;
    loop {
        let sent = Instant::now();
        let tasks: Vec<(u64, String)> = (0..count)
            .map(|_| numbers.next())
            .filter(|number| !numbers.is_beyond(*number))
            .map(|number| (number, body(number, sent, "")))
            .collect();
        if sent >= tally.end() || tasks.is_empty() {
            return Ok(());
        }
        let bodies: Vec<&str> = tasks.iter().map(|(_, body)| body.as_str()).collect();
        let request = place.post("/api/v2/tasks/bulk", &format!(r#"{{"tasks":[{}]}}"#, bodies.join(",")));
        let answer = wire.ask(&request).await?;
        if answer.status == 503 {
            tally.refuse();
            tokio::time::sleep(REFUSED_AGAIN).await;
            continue;
        }
        let Many { items } = serde_json::from_slice(answer.body)?;
        let mut stored = 0;
        for (item, (number, _)) in items.iter().zip(&tasks) {
            if let (201, Some(task)) = (item.status, item.task) {
                stored += 1;
                sample.offer(*number, task.get().as_bytes());
            } else {
                tally.refuse();
            }
        }
        tally.add(sent, stored);
    }
}
