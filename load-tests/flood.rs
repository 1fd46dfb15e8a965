//! What a process that prints without end costs the tasks beside it: the time from submit to completion with no such
//! neighbour, with one that only burns a processor, and with one that floods its output, all in one run.
//!
//! The burner is what the flood has to be compared with: also a process that prints nothing takes its processor.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use crate::server::{Ground, Server};

/// Tasks a second, submitted at fixed times whether or not the ones before are done.
const RATE: u64 = 200;
/// What the neighbours run.
const NEIGHBOURS: [(&str, Option<&str>); 3] = [
    ("none", None),
    ("burns a processor", Some("while :; do :; done")),
    ("prints without end", Some("exec dd if=/dev/zero bs=65536 status=none")),
];

/// What was measured beside one neighbour.
#[derive(Debug, Clone, Serialize)]
struct Beside {
    neighbour: &'static str,
    tasks: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// What the neighbour printed, in MB per second; 0 where it prints nothing.
    printed_mb_per_second: f64,
    /// What of it is stored, in MiB.
    stored_mib: f64,
    server_cpus: f64,
    server_rss_mib: f64,
}

/// Measures each neighbour in turn and prints the table.
pub async fn measure(time: Duration, as_json: bool) -> Result<()> {
    let mut table = Vec::new();
    for (neighbour, script) in NEIGHBOURS {
        table.push(beside(neighbour, script, time).await?);
    }
    if as_json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({"scenario": "flood", "rate": RATE, "table": table}))?
        );
        return Ok(());
    }
    println!(
        "flood: {RATE} tasks a second from submit to completion, {} s beside each neighbour",
        time.as_secs()
    );
    println!(
        "{:<20} {:>7} {:>8} {:>8} {:>8} {:>12} {:>11} {:>11} {:>8}",
        "neighbour",
        "tasks",
        "p50 ms",
        "p99 ms",
        "max ms",
        "prints MB/s",
        "stored MiB",
        "server CPUs",
        "RSS MiB"
    );
    for row in table {
        println!(
            "{:<20} {:>7} {:>8.2} {:>8.2} {:>8.2} {:>12.1} {:>11.1} {:>11.2} {:>8.1}",
            row.neighbour,
            row.tasks,
            row.p50_ms,
            row.p99_ms,
            row.max_ms,
            row.printed_mb_per_second,
            row.stored_mib,
            row.server_cpus,
            row.server_rss_mib
        );
    }
    Ok(())
}

async fn beside(neighbour: &'static str, script: Option<&str>, time: Duration) -> Result<Beside> {
    let server = Rc::new(Server::start(&Ground::default()).await?);
    let worker = json!({"name": "worker", "capabilities": ["work"], "capacity": 1000});
    let (status, agent) = server.post("/api/v2/agents", worker.to_string()).await?;
    ensure!(status == 201, "the worker was not registered: {agent}");
    let agent = agent["id"].as_str().context("an id")?.to_owned();
    let began = Instant::now();
    let noisy = match script {
        Some(script) => Some(start_neighbour(&server, script).await?),
        None => None,
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let until = Instant::now() + time;
    let cpu_before = server.cpu()?;
    let (latency, tasks) = tokio::join!(work(&server, &agent, until), submit(&server, until));
    let (latency, tasks) = (latency?, tasks?);
    let server_cpus = (server.cpu()? - cpu_before).as_secs_f64() / time.as_secs_f64();
    ensure!(latency.len() == tasks, "{tasks} tasks were submitted, {} completed", latency.len());
    let (printed, stored_mib) = match &noisy {
        Some(task) => end_neighbour(&server, task).await?,
        None => (0.0, 0.0),
    };
    let millis = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
    Ok(Beside {
        neighbour,
        tasks,
        p50_ms: millis(latency.value_at_quantile(0.5)),
        p99_ms: millis(latency.value_at_quantile(0.99)),
        max_ms: millis(latency.max()),
        printed_mb_per_second: printed / 1e6 / began.elapsed().as_secs_f64(),
        stored_mib,
        server_cpus,
        server_rss_mib: server.rss_mib()?,
    })
}

async fn start_neighbour(server: &Server, script: &str) -> Result<String> {
    let shell =
        json!({"name": "shell", "capabilities": ["noise"], "link": {"kind": "process", "preset": "shell"}});
    let (status, answer) = server.post("/api/v2/agents", shell.to_string()).await?;
    ensure!(status == 201, "the shell was not registered: {answer}");
    let task = json!({"title": "noise", "requires": ["noise"], "input": script});
    let (status, task) = server.post("/api/v2/tasks", task.to_string()).await?;
    ensure!(status == 201, "the neighbour was not submitted: {task}");
    Ok(task["id"].as_str().context("an id")?.to_owned())
}

/// Ends it; how many bytes it printed, and how many MiB of them are stored.
async fn end_neighbour(server: &Server, task: &str) -> Result<(f64, f64)> {
    let (status, answer) = server.post(&format!("/api/v2/tasks/{task}/cancel"), "{}".to_owned()).await?;
    ensure!(status == 200, "the neighbour was not canceled: {answer}");
    while server.get(&format!("/api/v2/tasks/{task}")).await?["state"] == "working" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (mut stored, mut cut, mut cursor) = (0.0, 0.0, String::new());
    loop {
        let page = server.get(&format!("/api/v2/tasks/{task}/output?limit=50{cursor}")).await?;
        for piece in page["items"].as_array().context("items")? {
            let text = piece["text"].as_str().context("a text")?;
            stored += f64::from(u32::try_from(text.len())?);
            let marked = text.split_once("[... ").and_then(|(_, rest)| rest.split_once(" bytes cut"));
            if let Some((number, _)) = marked {
                cut = number.parse()?;
            }
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    Ok((stored + cut, stored / f64::from(1 << 20)))
}

/// Leases and completes one by one; each task carries in its input when it was due.
async fn work(server: &Server, agent: &str, until: Instant) -> Result<Histogram<u64>> {
    let mut latency = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let lease = json!({"max": 100, "wait_ms": 500, "worker_instance": "w"}).to_string();
    loop {
        let (status, leased) = server.post(&format!("/api/v2/agents/{agent}/lease"), lease.clone()).await?;
        ensure!(status == 200, "a lease was answered {status}: {leased}");
        let assignments = leased["assignments"].as_array().context("assignments")?;
        if assignments.is_empty() && Instant::now() > until {
            return Ok(latency);
        }
        for there in assignments {
            let body = json!({"attempt": there["attempt"], "result": true}).to_string();
            let id = there["task_id"].as_str().context("an id")?;
            let (status, answer) = server.post(&format!("/api/v2/tasks/{id}/complete"), body).await?;
            ensure!(status == 200, "a completion was answered {status}: {answer}");
            let due: u64 = there["input"].as_u64().context("when it was due")?;
            latency.saturating_record(since_start().saturating_sub(due));
        }
    }
}

async fn submit(server: &Rc<Server>, until: Instant) -> Result<u64> {
    let local = tokio::task::LocalSet::new();
    let mut due = tokio::time::Instant::now();
    let mut under_way = Vec::new();
    local
        .run_until(async {
            while Instant::now() < until {
                tokio::time::sleep_until(due).await;
                let body = json!({"title": "t", "requires": ["work"], "input": since_start()}).to_string();
                let server = Rc::clone(server);
                under_way.push(tokio::task::spawn_local(async move {
                    let (status, answer) = server.post("/api/v2/tasks", body).await?;
                    ensure!(status == 201, "a submit was answered {status}: {answer}");
                    anyhow::Ok(())
                }));
                due += Duration::from_micros(1_000_000 / RATE);
            }
            let count = u64::try_from(under_way.len())?;
            for submit in under_way {
                submit.await??;
            }
            Ok(count)
        })
        .await
}

/// Microseconds since the first call of this process.
fn since_start() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl Server {
    /// GETs JSON.
    async fn get(&self, path: &str) -> Result<Value> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.json().await?)
    }
}
