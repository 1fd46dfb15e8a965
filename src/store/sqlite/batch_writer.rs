//! The writer on SQLite: one transaction a batch, and what becomes of it when something fails.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use domain::Timestamp;

use crate::checkpointer::Rewind;
use crate::clock::Clock;
use crate::command::Command;
use crate::error::OpenError;
use crate::metrics::Metrics;
use crate::port::{BatchError, BatchWriter, Committed};
use crate::sql::apply::{self, Mode};
use crate::sql::batch::{Batch, Told};
use crate::sql::conn::Conn;
use crate::sql::failure::{Failure, Remedy};
use crate::sql::lanes::Lanes;
use crate::sql::log::{self, LogHead};
use crate::sql::statement::statement;
use crate::sqlite::connection;

/// Above this size of the write-ahead log the writer waits for readers and truncates it: 256 MiB. It is begun anew in place
/// long before, unless readers held on to it.
const WAL_BYTES_MAX: u64 = 256 << 20;
/// How much more the log may grow before the writer tries again after readers were in the way.
const WAL_BYTES_STEP: u64 = 16 << 20;
/// How often a batch is tried while another program holds the database; each try waits for the busy timeout.
const BUSY_TRIES: u32 = 5;

/// Applies batches to a SQLite database.
pub(crate) struct SqliteWriter {
    conn: Conn,
    wal: PathBuf,
    lanes: Lanes,
    lanes_max: usize,
    last_seq: i64,
    last_at: Timestamp,
    clock: Clock,
    metrics: Metrics,
    truncates_above: u64,
    rewind: Rewind,
}

impl SqliteWriter {
    /// Opens the connection and loads where the log and the lanes stand.
    pub(crate) fn open(
        database: &Path,
        lanes_max: u32,
        rewind: Rewind,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, OpenError> {
        let mut conn = Conn::from(connection::writer(database).map_err(Failure::from)?);
        let (last_seq, last_at) = log::head(&mut conn)?;
        let lanes = Lanes::load(&mut conn)?;
        Ok(Self {
            conn,
            wal: connection::wal_path(database),
            lanes,
            lanes_max: usize::try_from(lanes_max).unwrap_or(usize::MAX),
            last_seq,
            last_at,
            clock,
            metrics,
            truncates_above: WAL_BYTES_MAX,
            rewind,
        })
    }

    /// One transaction. What was interned in it is forgotten when it fails.
    fn transact(&mut self, batch: &[Command], mode: Mode) -> Result<Committed, Remedy> {
        let now = self.clock.now().max(self.last_at);
        self.conn
            .batch_execute("BEGIN IMMEDIATE")
            .map_err(|error| Failure::from(error).remedy().before_commit())?;
        let began = Instant::now();
        let most = (self.lanes_max, &self.metrics.quarantine);
        let mut open = Batch::new(&mut self.conn, &mut self.lanes, most, now, self.last_seq);
        let nothing = open.mark();
        let written = apply::apply(&mut open, batch, mode).and_then(|outcomes| {
            open.flush().map_err(|failure| failure.remedy())?;
            Ok(outcomes)
        });
        let seconds = &self.metrics.writer_statement_seconds;
        seconds.with_label_values(&["apply"]).observe(began.elapsed().as_secs_f64());
        let began = Instant::now();
        let committed = written.map_err(Remedy::before_commit).and_then(|outcomes| {
            apply::execute(&mut open, "COMMIT")?;
            Ok(outcomes)
        });
        seconds.with_label_values(&["commit"]).observe(began.elapsed().as_secs_f64());
        match committed {
            Ok(outcomes) => {
                let Told { events, new_lanes } = open.told();
                self.last_seq = events.last().map_or(self.last_seq, |event| event.seq);
                self.last_at = now;
                Ok(Committed { outcomes, events, new_lanes })
            }
            Err(remedy) => {
                open.go_back(nothing);
                self.conn.forget();
                // SQLite rolls back by itself after some errors; then there is nothing to roll back.
                let _ = self.conn.batch_execute("ROLLBACK");
                Err(remedy)
            }
        }
    }

    /// Makes the log shorter in one of two ways, and counts it; whether it could be done.
    fn shorten(&mut self, mode: &str, way: fn(&mut Conn) -> QueryResult<bool>) -> bool {
        let began = Instant::now();
        let result = match way(&mut self.conn) {
            Ok(true) => "done",
            Ok(false) => "busy",
            Err(error) => {
                let failure = Failure::from(error);
                tracing::error!(error = failure.reason(), mode, "the write-ahead log cannot be shortened");
                if matches!(failure.remedy(), Remedy::DiskFailed(_)) {
                    tracing::error!(
                        "the disk did not confirm what it was given; what it holds is unknown: ending"
                    );
                    // It syncs the database: what was committed may be lost if this went on.
                    std::process::abort();
                }
                "failed"
            }
        };
        let seconds = &self.metrics.writer_statement_seconds;
        seconds.with_label_values(&[mode]).observe(began.elapsed().as_secs_f64());
        self.metrics.checkpoint_runs.with_label_values(&[mode, result]).inc();
        result == "done"
    }
}

/// Levers for tests.
#[cfg(test)]
impl SqliteWriter {
    /// The connection, to set it to what a full or a read-only disk does.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        match &mut self.conn {
            Conn::Sqlite(session) => session.aside(),
            Conn::Postgres(_) => panic!("this is SQLite's writer"),
        }
    }

    /// Tidies as if the log were too large above so many bytes.
    pub(crate) fn tidy_above(&mut self, bytes: u64) {
        self.truncates_above = bytes;
        self.tidy();
    }
}

impl BatchWriter for SqliteWriter {
    fn apply(&mut self, batch: &[Command]) -> Result<Committed, BatchError> {
        let mut mode = Mode::Together;
        let mut tries = 0;
        loop {
            match self.transact(batch, mode) {
                Ok(committed) => return Ok(committed),
                Err(Remedy::RefuseCommand(why)) if mode == Mode::Together => {
                    tracing::warn!(error = %why, commands = batch.len(), "a batch is applied command by command");
                    self.metrics.writer_replays.inc();
                    mode = Mode::Apart;
                }
                Err(Remedy::TryAgain(why)) => {
                    tries += 1;
                    self.metrics.writer_retries.inc();
                    if tries >= BUSY_TRIES {
                        return Err(BatchError::Busy(why));
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                // diesel does not tell a failed sync from a failed write, but only a commit syncs. After a failed
                // sync the kernel may have dropped what was written, so that only a start over is safe.
                Err(Remedy::DiskFailed(why)) => return Err(BatchError::SyncFailed(why)),
                Err(Remedy::Reopen(why) | Remedy::RefuseCommand(why) | Remedy::TooSlow(why)) => {
                    return Err(BatchError::Unavailable(why));
                }
            }
        }
    }

    fn tidy(&mut self) {
        let wal_bytes = std::fs::metadata(&self.wal).map_or(0, |wal| wal.len());
        self.metrics.wal_bytes.set(i64::try_from(wal_bytes).unwrap_or(i64::MAX));
        let is_asked = self.rewind.take();
        if wal_bytes > self.truncates_above {
            let is_done = self.shorten("truncate", truncate);
            self.truncates_above =
                if is_done { WAL_BYTES_MAX } else { wal_bytes.saturating_add(WAL_BYTES_STEP) };
        } else if is_asked {
            self.shorten("restart", restart);
        }
    }
}

/// Moves the whole log into the database and empties it, waiting a little for readers; `false` when they stayed.
pub(crate) fn truncate(conn: &mut Conn) -> QueryResult<bool> {
    conn.batch_execute("PRAGMA busy_timeout = 200")?;
    let truncated = conn.get_result::<(i64,), _>(TruncateWal {});
    conn.batch_execute("PRAGMA busy_timeout = 5000")?;
    truncated.map(|(busy,)| busy == 0)
}

/// Moves the whole log into the database, so that it is written from its beginning again; `false` when readers stayed.
fn restart(conn: &mut Conn) -> QueryResult<bool> {
    conn.batch_execute("PRAGMA busy_timeout = 20")?;
    let restarted = conn.get_result::<(i64,), _>(RestartWal {});
    conn.batch_execute("PRAGMA busy_timeout = 5000")?;
    restarted.map(|(busy,)| busy == 0)
}

/// The last `seq` and the latest time of the log of a database that is looked at from outside.
pub(crate) fn log_head(conn: &mut SqliteConnection) -> Result<(i64, Timestamp), Failure> {
    let (seq, at): (i64, i64) = LogHead {}.get_result(conn)?;
    Ok((seq, Timestamp::from_micros(at)))
}

statement! {
    /// Answers whether readers were in the way.
    RestartWal {} -> (BigInt,) = "PRAGMA wal_checkpoint(RESTART)"
}

statement! {
    /// Answers whether readers were in the way.
    TruncateWal {} -> (BigInt,) = "PRAGMA wal_checkpoint(TRUNCATE)"
}
