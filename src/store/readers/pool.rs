//! The connections that only read, and the one hop a call takes to them.

use crate::open::{Database, OpenOptions};
use std::sync::Arc;
use std::time::Instant;

use domain::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::error::ReadError;
use crate::metrics::Metrics;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::queries::{KnownLanes, Session};
use crate::threads::Threads;
use crate::timeouts::Timeouts;

/// Counts one in a state for as long as it lives, also through a panic, or when whoever waits goes away.
struct Counted<'a>(&'a Metrics, &'static str);

impl<'a> Counted<'a> {
    fn one(metrics: &'a Metrics, state: &'static str) -> Self {
        metrics.reader_connections.with_label_values(&[state]).inc();
        Self(metrics, state)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.reader_connections.with_label_values(&[self.1]).dec();
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
    timeouts: Timeouts,
    threads: Threads,
}

impl Pool {
    pub(super) fn new(options: &OpenOptions, database: Database, clock: Clock, metrics: Metrics) -> Self {
        Self {
            database,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(options.reader_connections.max(1))),
            lanes: KnownLanes::default(),
            clock,
            metrics,
            timeouts: options.timeouts,
            threads: options.threads,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs `body` in one read transaction, on a blocking thread unless reads are to run on the caller's. When the caller
    /// goes away meanwhile, the body still ends and its connection comes back.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        query: &'static str,
        body: impl FnOnce(&mut Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, ReadError> {
        let began = Instant::now();
        let permit = self.permit().await?;
        let pool = Arc::clone(self);
        let work = move || {
            let answer = pool.read(body);
            drop(permit);
            answer
        };
        let answer = match self.threads {
            Threads::Own => tokio::task::spawn_blocking(work).await,
            Threads::Callers => Ok(work()),
        };
        let took = began.elapsed();
        self.metrics.reader_query_seconds.with_label_values(&[query]).observe(took.as_secs_f64());
        if took >= self.timeouts.slow {
            tracing::warn!(query, seconds = took.as_secs_f64(), "a read was slow");
        }
        match answer {
            Ok(answer) => answer.map_err(ReadError::from),
            Err(_) => Err(ReadError::Unavailable(format!("the reader of {query} panicked"))),
        }
    }

    /// Waits for a connection, for so long.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, ReadError> {
        let _waiting = Counted::one(&self.metrics, "waiting");
        let patience = self.timeouts.reader;
        match tokio::time::timeout(patience, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(ReadError::Unavailable("the readers are closed".to_owned())),
            Err(_) => {
                let why = format!("no connection to read with was free for {} ms", patience.as_millis());
                Err(ReadError::Unavailable(why))
            }
        }
    }

    fn read<T>(&self, body: impl FnOnce(&mut Session<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let _busy = Counted::one(&self.metrics, "busy");
        let mut conn = self.begun()?;
        let (lanes, quarantine) = (&self.lanes, &self.metrics.quarantine);
        let answer = body(&mut Session { conn: &mut conn, lanes, quarantine });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqlite::connection;

    fn pool(file: std::path::PathBuf, reader: Duration) -> Arc<Pool> {
        drop(connection::writer(&file).unwrap());
        let timeouts = Timeouts { reader, ..Timeouts::default() };
        let (clock, metrics) = (Clock::stopped_at(Timestamp::ZERO), Metrics::new().unwrap());
        let options = OpenOptions { reader_connections: 1, timeouts, ..OpenOptions::new("") };
        Arc::new(Pool::new(&options, Database::Sqlite(file), clock, metrics))
    }

    fn states(pool: &Pool) -> [i64; 3] {
        ["busy", "idle", "waiting"]
            .map(|state| pool.metrics.reader_connections.with_label_values(&[state]).get())
    }

    #[test]
    fn a_read_that_finds_no_free_connection_waits_as_long_as_it_may_and_is_counted_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let pool = pool(folder.path().join("hive.db"), Duration::from_millis(50));
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            let (end, ended) = std::sync::mpsc::channel::<()>();
            let first = async {
                pool.ask("first", move |_| {
                    begun.send(()).unwrap();
                    ended.recv().unwrap();
                    Ok(())
                })
                .await
            };
            let second = async {
                has_begun.await.unwrap();
                let waiting = pool.ask("second", |_| Ok(()));
                tokio::pin!(waiting);
                assert!(futures_util::poll!(waiting.as_mut()).is_pending());
                assert_eq!(states(&pool), [1, 0, 1]);
                let refused = waiting.await;
                end.send(()).unwrap();
                refused
            };
            let (first, second) = tokio::join!(first, second);
            first.unwrap();
            let why = second.unwrap_err().to_string();
            assert!(why.contains("no connection to read with was free for 50 ms"), "{why}");
            assert_eq!(states(&pool), [0, 1, 0]);
            pool.ask("third", |_| Ok(())).await.unwrap();
            assert_eq!(states(&pool), [0, 1, 0]);
        });
    }
}
