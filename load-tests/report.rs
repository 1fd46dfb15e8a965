//! What is told of a measurement.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Database;
use crate::layers::Layer;

/// Processor time while it was counted.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// Of the hive.
    pub server: Duration,
    /// Of the load generator.
    pub client: Duration,
    /// Of a database server; nothing where there is none.
    pub database: Duration,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Operations per second that were acknowledged.
    pub per_second: f64,
    /// Operations that were acknowledged while it was measured.
    pub count: u64,
    /// Answers that were refusals (503).
    pub refused: u64,
    /// Latency of one request, in milliseconds.
    pub p50_ms: f64,
    /// The same, 99th percentile.
    pub p99_ms: f64,
    /// Processors that the server kept busy.
    pub server_cpus: f64,
    /// Processors that the load generator kept busy.
    pub client_cpus: f64,
    /// Processors that a database server kept busy.
    pub database_cpus: f64,
    /// Memory of the server at the end, in MiB.
    pub server_rss_mib: f64,
    /// Where the time of a task went, as the hive's own metrics tell.
    pub layers: Vec<Layer>,
}

impl Run {
    /// Puts a run together.
    pub fn new(
        (count, refused): (u64, u64),
        time: Duration,
        latency: &Histogram<u64>,
        cpu: Cpu,
        server_rss_mib: f64,
    ) -> Self {
        let seconds = time.as_secs_f64();
        let millis = |quantile: f64| {
            Duration::from_micros(latency.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
        };
        Self {
            per_second: Duration::from_secs(count).as_secs_f64() / seconds,
            count,
            refused,
            p50_ms: millis(0.5),
            p99_ms: millis(0.99),
            server_cpus: cpu.server.as_secs_f64() / seconds,
            client_cpus: cpu.client.as_secs_f64() / seconds,
            database_cpus: cpu.database.as_secs_f64() / seconds,
            server_rss_mib,
            layers: Vec::new(),
        }
    }
}

/// Prints all runs and the one with the median rate.
pub fn print(
    (scenario, database): (&str, Database),
    clients: usize,
    runs: &[Run],
    as_json: bool,
) -> Result<()> {
    let mut sorted: Vec<&Run> = runs.iter().collect();
    sorted.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let median = sorted.get(sorted.len() / 2).copied();
    if as_json {
        let report = serde_json::json!({
            "scenario": scenario, "database": format!("{database:?}").to_lowercase(), "clients": clients,
            "runs": runs, "median": median,
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!("{scenario} on {database:?}, {clients} clients, default settings, one machine for all");
    println!(
        "{:>10} {:>8} {:>8} {:>9} {:>11} {:>11} {:>13} {:>9}",
        "per second", "p50 ms", "p99 ms", "refused", "server CPUs", "client CPUs", "database CPUs", "RSS MiB"
    );
    for run in runs.iter().chain(median) {
        println!(
            "{:>10.0} {:>8.2} {:>8.2} {:>9} {:>11.2} {:>11.2} {:>13.2} {:>9.1}",
            run.per_second,
            run.p50_ms,
            run.p99_ms,
            run.refused,
            run.server_cpus,
            run.client_cpus,
            run.database_cpus,
            run.server_rss_mib
        );
    }
    println!("(the last line is the run with the median rate)");
    for Layer { layer, micros_per_task } in median.map(|run| run.layers.as_slice()).unwrap_or_default() {
        println!("{micros_per_task:>10.1} µs a task: {layer}");
    }
    Ok(())
}
