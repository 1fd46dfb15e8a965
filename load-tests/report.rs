//! What is told of a measurement.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

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
    /// Memory of the server at the end, in MiB.
    pub server_rss_mib: f64,
}

impl Run {
    /// Puts a run together.
    pub fn new(
        (count, refused): (u64, u64),
        time: Duration,
        latency: &Histogram<u64>,
        (server_cpu, client_cpu): (Duration, Duration),
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
            server_cpus: server_cpu.as_secs_f64() / seconds,
            client_cpus: client_cpu.as_secs_f64() / seconds,
            server_rss_mib,
        }
    }
}

/// Prints all runs and the one with the median rate.
pub fn print(scenario: &str, clients: usize, runs: &[Run], as_json: bool) -> Result<()> {
    let mut sorted: Vec<&Run> = runs.iter().collect();
    sorted.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let median = sorted.get(sorted.len() / 2).copied();
    if as_json {
        let report =
            serde_json::json!({"scenario": scenario, "clients": clients, "runs": runs, "median": median});
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!("{scenario}, {clients} clients, default settings, one machine for server and load");
    println!(
        "{:>10} {:>8} {:>8} {:>9} {:>11} {:>11} {:>9}",
        "per second", "p50 ms", "p99 ms", "refused", "server CPUs", "client CPUs", "RSS MiB"
    );
    for run in runs.iter().chain(median) {
        println!(
            "{:>10.0} {:>8.2} {:>8.2} {:>9} {:>11.2} {:>11.2} {:>9.1}",
            run.per_second,
            run.p50_ms,
            run.p99_ms,
            run.refused,
            run.server_cpus,
            run.client_cpus,
            run.server_rss_mib
        );
    }
    println!("(the last line is the run with the median rate)");
    Ok(())
}
