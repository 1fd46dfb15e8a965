//! One task a request from many clients, each waiting for its answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;

use crate::database::Server as Database;
use crate::layers;
use crate::report::{Cpu, Run};
use crate::server::{Server, own_cpu};

/// Time before it counts.
pub const WARM_UP: Duration = Duration::from_secs(2);

/// What all clients of a run count together.
pub struct Tally {
    /// When counting begins.
    pub begin: Instant,
    /// When it ends.
    pub end: Instant,
    /// Acknowledged while counting.
    pub count: u64,
    /// Refused while counting.
    pub refused: u64,
    /// Acknowledged in all.
    pub all: u64,
    /// Latency in microseconds while counting.
    pub latency: Histogram<u64>,
}

impl Tally {
    /// Counts for `time` after the warm-up.
    pub fn new(time: Duration) -> Result<Rc<RefCell<Self>>> {
        let begin = Instant::now() + WARM_UP;
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Rc::new(RefCell::new(Self { begin, end: begin + time, count: 0, refused: 0, all: 0, latency })))
    }

    /// Counts `units` that one request brought.
    pub fn add(&mut self, sent: Instant, units: u64) {
        let now = Instant::now();
        self.all += units;
        if now >= self.begin && now < self.end {
            self.count += units;
            let micros = u64::try_from(now.duration_since(sent).as_micros()).unwrap_or(u64::MAX);
            self.latency.saturating_record(micros);
        }
    }
}

/// Runs it once.
pub async fn measure(clients: usize, time: Duration, database: Option<&Database>) -> Result<Run> {
    let server = Server::start(database).await?;
    let tally = Tally::new(time)?;
    let load = try_join_all((0..clients).map(|name| submit(&server, &tally, name)));
    let watch = watch(&server, WARM_UP, time);
    let (load, cpu) = tokio::join!(load, watch);
    load?;
    let all = tally.borrow().all;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stored = server.count("queued").await?;
    ensure!(stored == all, "{all} submits were acknowledged, {stored} tasks are stored");
    let layers = layers::of(&server, all).await?;
    let tally = tally.borrow();
    Ok(Run {
        layers,
        ..Run::new((tally.count, tally.refused), time, &tally.latency, cpu?, server.rss_mib()?)
    })
}

/// Processor time of server, client and database while it is counted.
pub async fn watch(server: &Server, warm_up: Duration, time: Duration) -> Result<Cpu> {
    tokio::time::sleep(warm_up).await;
    let (server_before, own_before, database_before) = (server.cpu()?, own_cpu()?, server.database_cpu()?);
    tokio::time::sleep(time).await;
    Ok(Cpu {
        server: server.cpu()? - server_before,
        client: own_cpu()? - own_before,
        database: server.database_cpu()?.saturating_sub(database_before),
    })
}

/// One client: submits until the end.
pub async fn submit(server: &Server, tally: &Rc<RefCell<Tally>>, name: usize) -> Result<()> {
    let end = tally.borrow().end;
    let body =
        format!(r#"{{"title":"load {name}","input":{{"client":{name},"text":"the quick brown fox"}}}}"#);
    while Instant::now() < end {
        let sent = Instant::now();
        match server.post("/api/v2/tasks", body.clone()).await? {
            (201, _) => tally.borrow_mut().add(sent, 1),
            (503, _) => {
                tally.borrow_mut().refused += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            (status, answer) => anyhow::bail!("a submit was answered {status}: {answer}"),
        }
    }
    Ok(())
}
