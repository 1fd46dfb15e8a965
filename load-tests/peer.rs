//! The hive as one of the systems that are compared: the same phases, the same work and the same record as those of the
//! others have, one JSON object a run.
//!
//! Tasks that do nothing, an input of some 120 bytes, 64 clients in one process that submit one task a request, one worker process
//! outside with 64 slots, every answer behind a sync. Phases: `enqueue` (nobody works), `bulk` (a thousand a request, 4
//! clients), `drain` (that backlog, from the first start to the last completion), `e2e` (20,000 tasks while the worker works),
//! `lat100` and `lat500` (from when a task is due until the worker has it, open loop), `idle`. A hive of its own stands in
//! for an emptied queue.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};

use crate::latency::submit_at;
use crate::peer_worker::{Seen, WorkerProcess};
use crate::plan::{Plan, rate};
use crate::process::{Snapshot, rss_and_pss_mib};
use crate::report::{Latency, Machine};
use crate::sample::Sample;
use crate::server::Server;
use crate::submit;
use crate::tally::Tally;
use crate::task::Numbers;

/// Clients that submit singly.
const CLIENTS: usize = 64;
/// Clients that submit in bulk, and how many tasks a request has.
const BULK_CLIENTS: usize = 4;
const BULK: usize = 1_000;
/// Tasks of `bulk`, `drain` and `e2e`.
const TASKS: u64 = 20_000;
/// How long those may take.
const TIME_MAX: Duration = Duration::from_secs(12);
/// How long `enqueue` lasts.
const ENQUEUE: Duration = Duration::from_secs(4);
/// How long each rate is kept up, and `idle` lasts.
const LATENCY: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(8);
/// Slots of the worker.
const SLOTS: usize = 64;
/// How long tasks that were submitted may take to start when no more come.
const STARTS_WITHIN: Duration = Duration::from_secs(4);

/// Measures it; one record a run.
pub async fn measure(plan: &Plan) -> Result<Vec<Value>> {
    let mut records = Vec::new();
    for number in 1..=plan.runs.max(1) {
        let record = record(plan, number).await?;
        let rate = |phase: &str| record["phases"][phase]["rate"].as_f64().unwrap_or_default();
        eprintln!(
            "peer, run {number} of {}: enqueue {:.0}/s, bulk {:.0}/s, drain {:.0}/s, e2e {:.0}/s",
            plan.runs.max(1),
            rate("enqueue"),
            rate("bulk"),
            rate("drain"),
            rate("e2e")
        );
        records.push(record);
    }
    Ok(records)
}

async fn record(plan: &Plan, number: usize) -> Result<Value> {
    let (name, durability) = match plan.ground.database {
        None => ("hive", "SQLite, WAL, synchronous=FULL: synced before the answer"),
        Some(_) => ("hive-postgres", "fsync=on, synchronous_commit=on"),
    };
    let mut phases = Map::new();
    let server = plan.serve().await?;
    let (rss, pss) = rss_and_pss_mib(server.process())?;
    phases.insert("enqueue".to_owned(), enqueue(plan, &server).await?);
    let server = plan.serve().await?;
    phases.insert("bulk".to_owned(), bulk(plan, &server).await?);
    phases.insert("drain".to_owned(), drain(plan, &server).await?);
    let server = plan.serve().await?;
    let worker = worker(&server).await?;
    phases.insert("e2e".to_owned(), end_to_end(plan, &server, &worker).await?);
    for (name, per_second) in [("lat100", 100.0), ("lat500", 500.0)] {
        phases.insert(name.to_owned(), latency(plan, &server, &worker, per_second).await?);
    }
    let idle = Phase::begin(&server, Some(&worker))?;
    tokio::time::sleep(if plan.is_quick { Duration::from_secs(1) } else { IDLE }).await;
    phases.insert("idle".to_owned(), idle.end(json!({}))?);
    Ok(json!({
        "peer": name, "desc": "Agent Hive, HTTP submits, a worker over a session", "durability": durability, "rep": number,
        "when": crate::now("+%F %T")?, "version": crate::version(), "command": crate::command(),
        "machine": Machine::here()?, "slowsync_us": plan.delay_us(),
        "server_mem_fresh_mib": {"rss": rss, "pss": pss}, "phases": phases,
    }))
}

/// Seconds of a phase; a quick run takes a fifth.
fn shortened(plan: &Plan, usual: Duration) -> Duration {
    if plan.is_quick { usual / 5 } else { usual }
}

fn tasks(plan: &Plan) -> u64 {
    if plan.is_quick { TASKS / 10 } else { TASKS }
}

/// A tally that counts from now on.
fn counted(time: Duration) -> Result<Tally> {
    Tally::from(Instant::now(), time)
}

async fn enqueue(plan: &Plan, server: &Server) -> Result<Value> {
    let phase = Phase::begin(server, None)?;
    let tally = counted(shortened(plan, ENQUEUE))?;
    submit_singly(server, &tally, &Numbers::default()).await?;
    let seconds = phase.seconds();
    let told = json!({"ok": tally.all(), "errors": tally.refused(), "secs": seconds, "rate": rate(tally.all(), seconds)});
    phase.end(with(told, &tally.latency()))
}

async fn submit_singly(server: &Server, tally: &Tally, numbers: &Numbers) -> Result<()> {
    let (place, unsampled) = (server.place(), Sample::default());
    try_join_all((0..CLIENTS).map(|_| submit::one(&place, tally, &unsampled, numbers, ""))).await?;
    Ok(())
}

async fn bulk(plan: &Plan, server: &Server) -> Result<Value> {
    let phase = Phase::begin(server, None)?;
    let (tally, unsampled, numbers) = (counted(TIME_MAX)?, Sample::default(), Numbers::up_to(tasks(plan)));
    let place = server.place();
    try_join_all((0..BULK_CLIENTS).map(|_| submit::many(&place, &tally, &unsampled, &numbers, BULK))).await?;
    let seconds = phase.seconds();
    let told = json!({"ok": tally.all(), "errors": tally.refused(), "secs": seconds, "rate": rate(tally.all(), seconds)});
    phase.end(told)
}

async fn drain(plan: &Plan, server: &Server) -> Result<Value> {
    let wanted = tasks(plan);
    let worker = worker(server).await?;
    let phase = Phase::begin(server, Some(&worker))?;
    let seen = worker.until(TIME_MAX, |count| count.done >= wanted).await?.count;
    let seconds = seconds_between(seen.first_start, seen.last_done);
    phase.end(json!({
        "done": seen.done, "wanted": wanted, "complete": seen.done >= wanted, "secs": seconds, "rate": rate(seen.done, seconds),
    }))
}

async fn end_to_end(plan: &Plan, server: &Server, worker: &WorkerProcess) -> Result<Value> {
    let (phase, tally) = (Phase::begin(server, Some(worker))?, counted(TIME_MAX)?);
    let began = crate::task::micros_now();
    submit_singly(server, &tally, &Numbers::up_to(tasks(plan))).await?;
    let (wanted, submit_seconds) = (tally.all(), phase.seconds());
    let Seen { count: seen, starts } = worker.until(TIME_MAX, |count| count.done >= wanted).await?;
    let seconds = seconds_between(began, seen.last_done);
    let told = json!({
        "done": seen.done, "wanted": wanted, "complete": seen.done >= wanted, "secs": seconds, "rate": rate(seen.done, seconds),
        "enqueued": wanted, "enqueue_rate": rate(wanted, submit_seconds), "errors": tally.refused(),
        "start_latency": with(json!({}), &starts),
    });
    phase.end(told)
}

/// Between two moments of the time of day, in microseconds.
fn seconds_between(first: u64, last: u64) -> f64 {
    Duration::from_micros(last.saturating_sub(first)).as_secs_f64()
}

async fn latency(plan: &Plan, server: &Server, worker: &WorkerProcess, per_second: f64) -> Result<Value> {
    worker.clear().await?;
    let phase = Phase::begin(server, Some(worker))?;
    let time = shortened(plan, LATENCY);
    let (begin, tally) = (Instant::now(), counted(time)?);
    submit_at(server, per_second, (begin, begin + time), &tally).await?;
    let wanted = tally.all();
    let Seen { count, starts } = worker.until(STARTS_WITHIN, |count| count.started >= wanted).await?;
    phase.end(with(json!({"rate_asked": per_second, "started": count.started, "wanted": wanted}), &starts))
}

/// A worker process, for an agent of its own.
async fn worker(server: &Server) -> Result<WorkerProcess> {
    let agent = server.agent("peer", SLOTS, &[]).await?;
    WorkerProcess::start(&server.place(), &agent, SLOTS).await
}

/// A phase that is under way: what its processes took so far.
struct Phase<'a> {
    server: &'a Server,
    worker: Option<&'a WorkerProcess>,
    began: Instant,
    before: Snapshot,
}

impl<'a> Phase<'a> {
    fn begin(server: &'a Server, worker: Option<&'a WorkerProcess>) -> Result<Self> {
        let before = Self::look(server, worker)?;
        Ok(Self { server, worker, began: Instant::now(), before })
    }

    fn look(server: &Server, worker: Option<&WorkerProcess>) -> Result<Snapshot> {
        let worker = worker.map_or(Ok(Duration::ZERO), |worker| crate::process::cpu(worker.id()?))?;
        Snapshot::look(&server.data(), server.cpu()? + server.database_cpu()?, worker)
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// What the phase told, and what the operating system says of it.
    fn end(self, told: Value) -> Result<Value> {
        let (seconds, now) = (self.seconds(), Self::look(self.server, self.worker)?);
        let percent =
            |now: Duration, before: Duration| 100.0 * now.saturating_sub(before).as_secs_f64() / seconds;
        let (rss, pss) = rss_and_pss_mib(self.server.process())?;
        let ours = (now.server + now.worker + now.own)
            .saturating_sub(self.before.server + self.before.worker + self.before.own);
        let foreign = now.busy.saturating_sub(self.before.busy).saturating_sub(ours);
        let mut all = json!({
            "_server_cpu_pct": percent(now.server, self.before.server),
            "_worker_cpu_pct": percent(now.worker, self.before.worker),
            "_foreign_cpu_pct": percent(foreign, Duration::ZERO),
            "_flushes_per_s": now.flushes.zip(self.before.flushes).map(|(now, before)| rate(now - before, seconds)),
            "_server_rss_mib": rss, "_server_pss_mib": pss,
        });
        if let Some(worker) = self.worker {
            let (rss, pss) = rss_and_pss_mib(worker.id()?)?;
            all["_worker_rss_mib"] = json!(rss);
            all["_worker_pss_mib"] = json!(pss);
        }
        merge(&mut all, told);
        Ok(all)
    }
}

/// An object with the quantiles of times.
fn with(mut told: Value, times: &Latency) -> Value {
    let Latency { count, p50_ms, p95_ms, p99_ms, max_ms, .. } = times;
    merge(
        &mut told,
        json!({"p50_ms": p50_ms, "p95_ms": p95_ms, "p99_ms": p99_ms, "max_ms": max_ms, "samples": count}),
    );
    told
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
