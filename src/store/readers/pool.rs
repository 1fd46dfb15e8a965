//! The connections that only read, and the one hop a call takes to them.
//!
//! Reads wait in one line. Whoever reads takes the next of them until none waits, so that many at a time cost few
//! wake-ups of threads, and each is done in its turn.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use domain::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::error::ReadError;
use crate::metrics::Metrics;
use crate::open::{Database, OpenOptions};
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

/// A read that waits for its turn.
type Job = Box<dyn FnOnce(&Pool) + Send>;

/// The turn of a read: it begins, or it is given up, whichever comes first.
struct Turn {
    is_over: AtomicBool,
    metrics: Metrics,
}

impl Turn {
    fn await_it(metrics: &Metrics) -> Arc<Self> {
        metrics.reader_connections.with_label_values(&["waiting"]).inc();
        Arc::new(Self { is_over: AtomicBool::new(false), metrics: metrics.clone() })
    }

    /// Whether it was still waited for; from now on it is not.
    fn take(&self) -> bool {
        let was_waiting = !self.is_over.swap(true, Ordering::Relaxed);
        if was_waiting {
            self.metrics.reader_connections.with_label_values(&["waiting"]).dec();
        }
        was_waiting
    }
}

/// Whoever asked: does not wait for the turn any more once it is dropped.
struct Asking(Arc<Turn>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.take();
    }
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// So many take jobs from it.
    readers: usize,
}

/// One who takes jobs from the line.
struct Reader {
    pool: Arc<Pool>,
    is_counted: bool,
}

impl Reader {
    fn work(mut self) {
        while let Some(job) = self.next() {
            // Who asked for it is told by the answer that does not come; the next ones have nothing to do with it.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&self.pool)));
        }
    }

    /// The next job. Without one it leaves at once, so that the next job calls somebody.
    fn next(&mut self) -> Option<Job> {
        let mut line = self.pool.line.lock();
        let job = line.jobs.pop_front();
        if job.is_none() {
            line.readers -= 1;
            self.is_counted = false;
        }
        job
    }
}

impl Drop for Reader {
    /// It may never have come to work: when the runtime that it was to work on ended.
    fn drop(&mut self) {
        if self.is_counted {
            self.pool.line.lock().readers -= 1;
        }
    }
}

/// At most so many connections as there may be readers; they are opened when they are first needed.
pub(super) struct Pool {
    database: Database,
    idle: Mutex<Vec<Conn>>,
    line: Mutex<Line>,
    readers_max: usize,
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
            line: Mutex::default(),
            readers_max: options.reader_connections.max(1),
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
    /// goes away before, it does not begin; when it goes away meanwhile, the body still ends and its connection comes back.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        query: &'static str,
        body: impl FnOnce(&mut Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, ReadError> {
        let began = Instant::now();
        let answer = match self.threads {
            Threads::Own => self.in_turn(body).await?,
            Threads::Callers => Some(self.read(body)),
        };
        let took = began.elapsed();
        self.metrics.reader_query_seconds.with_label_values(&[query]).observe(took.as_secs_f64());
        if took >= self.timeouts.slow {
            tracing::warn!(query, seconds = took.as_secs_f64(), "a read was slow");
        }
        match answer {
            Some(answer) => answer.map_err(ReadError::from),
            None => Err(ReadError::Unavailable(format!("the reader of {query} panicked"))),
        }
    }

    /// Waits for its turn, for so long, and then for the answer; `None` when there is none because it panicked.
    async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        body: impl FnOnce(&mut Session<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Option<Result<T, Failure>>, ReadError> {
        let asking = Asking(Turn::await_it(&self.metrics));
        let (reply, mut answer) = oneshot::channel();
        let turn = Arc::clone(&asking.0);
        self.line_up(Box::new(move |pool| {
            if turn.take() {
                // Nobody may wait for it any more.
                let _ = reply.send(pool.read(body));
            }
        }));
        let patience = self.timeouts.reader;
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answer) => Ok(answer.ok()),
            Err(_) if asking.0.take() => {
                let why = format!("no connection to read with was free for {} ms", patience.as_millis());
                Err(ReadError::Unavailable(why))
            }
            Err(_) => Ok(answer.await.ok()),
        }
    }

    /// Puts a job in the line, and has somebody take it.
    fn line_up(self: &Arc<Self>, job: Job) {
        let mut line = self.line.lock();
        line.jobs.push_back(job);
        if line.readers < self.readers_max {
            line.readers += 1;
            drop(line);
            let reader = Reader { pool: Arc::clone(self), is_counted: true };
            drop(tokio::task::spawn_blocking(move || reader.work()));
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

    #[test]
    fn a_read_that_nobody_waits_for_any_more_does_not_begin_and_one_that_panics_ends_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let pool = pool(folder.path().join("hive.db"), Duration::from_secs(60));
            let (end, ended) = std::sync::mpsc::channel::<()>();
            let first = pool.ask("first", move |_| -> Result<(), Failure> {
                ended.recv().unwrap();
                panic!("planted");
            });
            let has_begun = Arc::new(AtomicBool::new(false));
            let begins = Arc::clone(&has_begun);
            let left = pool.ask("left", move |_| {
                begins.store(true, Ordering::Relaxed);
                Ok(())
            });
            let third = pool.ask("third", |_| Ok(7));
            let hang_up = async {
                let mut left = Box::pin(left);
                assert!(futures_util::poll!(left.as_mut()).is_pending());
                drop(left);
                end.send(()).unwrap();
            };
            let (first, (), third) = tokio::join!(first, hang_up, third);
            assert_eq!(first.unwrap_err().to_string().matches("first panicked").count(), 1);
            assert_eq!(third.unwrap(), 7);
            assert!(!has_begun.load(Ordering::Relaxed), "its caller hung up before its turn");
            assert_eq!(states(&pool), [0, 1, 0]);
        });
    }
}
