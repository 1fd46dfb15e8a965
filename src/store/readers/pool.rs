//! The connections that only read, and the one hop a call takes to them.

use crate::open::Database;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::error::ReadError;
use crate::metrics::Metrics;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::queries::{KnownLanes, Session};

/// A read that takes this long, waiting for a connection included, is told of.
const SLOW: Duration = Duration::from_secs(1);

/// Counts a connection as busy for as long as it lives, also through a panic.
struct Busy<'a>(&'a Metrics);

impl<'a> Busy<'a> {
    fn one(metrics: &'a Metrics) -> Self {
        metrics.reader_connections.with_label_values(&["busy"]).inc();
        Self(metrics)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.reader_connections.with_label_values(&["busy"]).dec();
    }
}

/// At most so many connections as there are permits; they are opened when they are first needed.
pub(super) struct Pool {
    database: Database,
    idle: Mutex<Vec<Conn>>,
    permits: Arc<Semaphore>,
    lanes: KnownLanes,
    clock: Clock,
    metrics: Metrics,
}

impl Pool {
    pub(super) fn new(database: Database, connections: usize, clock: Clock, metrics: Metrics) -> Self {
        Self {
            database,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(connections.max(1))),
            lanes: KnownLanes::default(),
            clock,
            metrics,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs `body` in one read transaction on a blocking thread. When the caller goes away meanwhile, the body still
    /// ends and its connection comes back.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        query: &'static str,
        body: impl FnOnce(&mut Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, ReadError> {
        let began = Instant::now();
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| ReadError::Unavailable("the readers are closed".to_owned()))?;
        let pool = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || {
            let answer = pool.read(body);
            drop(permit);
            answer
        })
        .await;
        let took = began.elapsed();
        self.metrics.reader_query_seconds.with_label_values(&[query]).observe(took.as_secs_f64());
        if took >= SLOW {
            tracing::warn!(query, seconds = took.as_secs_f64(), "a read was slow");
        }
        match answer {
            Ok(answer) => answer.map_err(ReadError::from),
            Err(_) => Err(ReadError::Unavailable(format!("the reader of {query} panicked"))),
        }
    }

    fn read<T>(&self, body: impl FnOnce(&mut Session<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let _busy = Busy::one(&self.metrics);
        let mut conn = self.begun()?;
        let answer = body(&mut Session { conn: &mut conn, lanes: &self.lanes });
        // A connection that cannot end its transaction is not used again: it would hold on to old pages for ever.
        if conn.batch_execute("COMMIT").is_ok() {
            self.put_back(conn);
        }
        answer
    }

    fn put_back(&self, conn: Conn) {
        self.idle.lock().push(conn);
        self.metrics.reader_connections.with_label_values(&["idle"]).inc();
    }

    fn take_idle(&self) -> Option<Conn> {
        let conn = self.idle.lock().pop()?;
        self.metrics.reader_connections.with_label_values(&["idle"]).dec();
        Some(conn)
    }

    /// A connection in a read transaction: one that is there, unless it was lost meanwhile, or a new one.
    fn begun(&self) -> Result<Conn, Failure> {
        loop {
            let Some(mut conn) = self.take_idle() else { break };
            if conn.batch_execute("BEGIN").is_ok() {
                return Ok(conn);
            }
        }
        let mut conn = self.database.reader()?;
        conn.batch_execute("BEGIN")?;
        Ok(conn)
    }
}
