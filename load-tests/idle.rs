//! A hive that has nothing to do: how soon it is ready, its memory, its processor time, and how often it asks its database.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::plan::Plan;
use crate::report::{Case, Ceiling, Run};
use crate::server::Server;

/// What it is about.
pub const ABOUT: &str = "A hive that has nothing to do; counts statements, of reads and writes";
/// Until what a start leaves behind is over.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let case = plan.case("nothing to do", "statements", |server| be_idle(server, plan.time)).await?;
    Ok((vec![case], Vec::new()))
}

async fn be_idle(server: Server, time: Duration) -> Result<Run> {
    tokio::time::sleep(SETTLE).await;
    let (asked, cpu) = (statements(&server).await?, server.cpu()?);
    tokio::time::sleep(time).await;
    let seconds = time.as_secs_f64();
    // The look at the metrics asks nothing.
    let asked = statements(&server).await? - asked;
    Ok(Run {
        per_second: asked / seconds,
        cpus: BTreeMap::from([("hive".to_owned(), (server.cpu()? - cpu).as_secs_f64() / seconds)]),
        rss_mib: server.rss_mib()?,
        figures: BTreeMap::from([
            (
                "ms until it is ready, of a new folder".to_owned(),
                server.ready_after().as_secs_f64() * 1_000.0,
            ),
            ("seconds".to_owned(), seconds),
        ]),
        ..Run::default()
    })
}

/// Statements so far, as the hive counts them.
async fn statements(server: &Server) -> Result<f64> {
    let text = server.metrics().await?;
    let of = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains("_count"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    Ok(of("hive_writer_statement_seconds") + of("hive_reader_query_seconds"))
}
