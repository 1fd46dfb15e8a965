//! The mixed load for a long time: what grows that should not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::mixed;
use crate::plan::Plan;
use crate::process;
use crate::report::{Case, Ceiling, Run};
use crate::server::Server;

/// What it is about.
pub const ABOUT: &str = "The mixed load for a long time; counts requests, and looks at the hive's memory, threads and files meanwhile";
/// Requests a second.
const RATE: f64 = 867.5;
/// How long it lasts, unless another time was asked for.
pub const TIME: Duration = Duration::from_secs(1_800);
/// How often the hive is looked at; a short run is looked at ten times.
const LOOK: Duration = Duration::from_secs(10);

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let name = format!("{RATE} requests a second for {} s", plan.time.as_secs());
    let case = plan.case(&name, "requests", |server| watched(server, plan)).await?;
    Ok((vec![case], Vec::new()))
}

async fn watched(server: Server, plan: &Plan) -> Result<Run> {
    let process = server.process();
    let look = LOOK.min(plan.time / 10);
    let looking = async {
        let mut seen = Vec::new();
        let began = Instant::now();
        loop {
            tokio::time::sleep(look).await;
            seen.push((began.elapsed(), process::rss_mib(process)?, process::threads_and_files(process)?));
            if began.elapsed() + look > plan.time {
                return anyhow::Ok(seen);
            }
        }
    };
    let (run, seen) = tokio::join!(mixed::arrive(server, plan, RATE), looking);
    let (mut run, seen) = (run?, seen?);
    // The first tenth is what caches and pools need to fill.
    let settled = seen.get(seen.len() / 10..).unwrap_or_default();
    let mut figures = BTreeMap::new();
    if let ([first, ..], [.., last]) = (settled, settled) {
        let hours = (last.0.saturating_sub(first.0)).as_secs_f64() / 3_600.0;
        figures.insert("MiB of memory after a tenth of the time".to_owned(), first.1);
        figures.insert("MiB of memory at the end".to_owned(), last.1);
        figures.insert("MiB of memory more an hour".to_owned(), (last.1 - first.1) / hours.max(1e-9));
        for (name, first, last) in [("threads", first.2.0, last.2.0), ("open files", first.2.1, last.2.1)] {
            figures.insert(format!("{name} after a tenth of the time"), f64::from(first));
            figures.insert(format!("{name} at the end"), f64::from(last));
        }
    }
    run.figures.extend(figures);
    Ok(run)
}
