//! What a task costs as the store grows: the same load at each size, from an empty store to one of five million tasks.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde::Deserialize;

use crate::end_to_end::{Way, round};
use crate::plan::{Plan, rate};
use crate::report::{Case, Ceiling, Run};
use crate::server::Server;
use crate::task::{Numbers, body};

/// What it is about.
pub const ABOUT: &str =
    "Tasks completed per second, and what one costs the hive, in one store that grows by tasks that wait";
/// Tasks that are stored when it is measured; a quick run takes a thousandth of each.
const SIZES: [u64; 6] = [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000];
const CLIENTS: usize = 64;
const WORKERS: usize = 8;
const SLOTS: usize = 100;
/// What the tasks of the load require; the others require what nobody has.
const REQUIRED: &str = "work";
const NOBODY_HAS: &str = "patience";
/// Where the others wait: a queue takes five million tasks and not one more.
const QUEUE: &str = r#"{"queue":"patience","#;
/// Connections that fill it, and tasks a request.
const FILLERS: usize = 8;
const BULK: u64 = 500;

/// Measures it, in one store; each size is measured once.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let server = plan.serve().await?;
    let agent = server.agent("load", WORKERS * SLOTS, &[REQUIRED]).await?;
    let (numbers, mut cases) = (Numbers::default(), Vec::new());
    let (mut waiting, mut completed) = (0, 0);
    for size in SIZES {
        let size = if plan.is_quick { size / 1_000 } else { size };
        let (began, missing) = (Instant::now(), size - waiting);
        fill(&server, missing, &numbers).await?;
        waiting = size;
        let filled_per_second = rate(missing, began.elapsed().as_secs_f64());
        let load = (CLIENTS, REQUIRED, &numbers);
        let round = round(&server, plan, load, (&agent, Way::Sessions, WORKERS, SLOTS)).await?;
        completed += round.completed();
        for (state, expected) in [("completed", completed), ("queued", waiting)] {
            let stored = server.count(state).await?;
            ensure!(stored == expected, "{expected} were acknowledged, {stored} tasks are {state}");
        }
        let run = round.compared(&server).await?;
        let micros =
            run.cpus.get("hive").copied().unwrap_or_default() * 1_000_000.0 / run.per_second.max(1.0);
        let mut figures = BTreeMap::from([("µs of the hive's processor time a task".to_owned(), micros)]);
        if missing > 0 {
            figures.insert("tasks per second while it was filled".to_owned(), filled_per_second);
        }
        let name = match size / 1_000_000 {
            0 => format!("{size} tasks wait"),
            millions => format!("{millions} million tasks wait"),
        };
        eprintln!("{name}: {:.0} tasks/s, {micros:.1} µs a task", run.per_second);
        // Its layers are sums since the start, not of this size.
        let run = Run { layers: Vec::new(), figures, ..run };
        cases.push(Case { name, unit: "tasks".to_owned(), runs: vec![run] });
    }
    Ok((cases, Vec::new()))
}

#[derive(Deserialize)]
struct Many {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
}

/// Stores so many tasks that nobody can take.
async fn fill(server: &Server, count: u64, numbers: &Numbers) -> Result<()> {
    let place = server.place();
    let left = std::cell::Cell::new(count);
    let filler = async || {
        let mut wire = place.connect().await?;
        while left.get() > 0 {
            let some = BULK.min(left.get());
            left.set(left.get() - some);
            let now = Instant::now();
            let task = || body(numbers.next(), now, NOBODY_HAS).replacen('{', QUEUE, 1);
            let tasks: Vec<String> = (0..some).map(|_| task()).collect();
            let request = place.post("/api/v2/tasks/bulk", &format!(r#"{{"tasks":[{}]}}"#, tasks.join(",")));
            let Many { items } = wire.ask(&request).await?.json(200)?;
            let refused = items.iter().find(|item| item.status != 201);
            ensure!(refused.is_none(), "a task was answered {}", refused.map_or(0, |item| item.status));
        }
        anyhow::Ok(())
    };
    try_join_all((0..FILLERS).map(|_| filler())).await.map(drop)
}
