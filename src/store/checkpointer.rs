//! Moves what is committed from the write-ahead log into the database, so that the log stays small. A server does that by
//! itself; there the connection is used that holds the node's number.
//!
//! It waits for nobody and nobody waits for it: a commit appends to the log while the checkpoint copies from it. So under
//! load the log is never wholly in the database and would only grow; what is missing then is little, and the writer, which
//! alone can hold the log still, copies it and begins the log anew in place (`Rewind`). A log that is written over is
//! synced in about half the time of one that grows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use parking_lot::Mutex;

use crate::metrics::Metrics;
use crate::postgres::node::NodeKeeper;
use crate::sql::failure::{Failure, Remedy};
use crate::sql::statement::statement;
use crate::sqlite::connection;

/// Time from checkpoint to checkpoint.
const PERIOD: Duration = Duration::from_secs(1);
/// How often a run looks whether it should stop.
const STEP: Duration = Duration::from_millis(100);
/// A log of so many pages of 4 KiB is worth the writer's time: 16 MiB.
const PAGES_MIN: i64 = 4_096;
/// While a reader keeps more pages than this in the log, the writer is let alone.
const PAGES_LEFT_MAX: i64 = 4_096;
/// A pass that took longer is followed by another one: what was written meanwhile is too much to leave to the writer.
const PASS: Duration = Duration::from_millis(50);
/// Most passes of one checkpoint.
const PASSES_MAX: u32 = 4;

/// Asked for by the checkpointer, granted by the writer between two batches: that the log is begun anew.
#[derive(Clone, Default)]
pub(crate) struct Rewind(Arc<AtomicBool>);

impl Rewind {
    /// Asks for it.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for since the last time.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Checkpoints on a connection of its own. Cheap to clone.
#[derive(Clone)]
pub struct CheckpointLoop {
    kept: Kept,
    log: Arc<Mutex<Option<Log>>>,
    metrics: Metrics,
}

/// What is looked after.
#[derive(Clone)]
enum Kept {
    Log(PathBuf, Rewind),
    Number(NodeKeeper),
}

impl CheckpointLoop {
    pub(crate) fn new(database: PathBuf, rewind: Rewind, metrics: Metrics) -> Self {
        Self::of(Kept::Log(database, rewind), metrics)
    }

    pub(crate) fn of_server(number: NodeKeeper, metrics: Metrics) -> Self {
        Self::of(Kept::Number(number), metrics)
    }

    fn of(kept: Kept, metrics: Metrics) -> Self {
        Self { kept, log: Arc::new(Mutex::new(None)), metrics }
    }

    /// Runs a checkpoint each second until `is_stopping`, which is asked ten times a second.
    pub fn run(&self, is_stopping: &dyn Fn() -> bool) {
        let mut last = Instant::now();
        while !is_stopping() {
            std::thread::sleep(STEP);
            if last.elapsed() >= PERIOD {
                self.tick();
                last = Instant::now();
            }
        }
    }

    /// Runs one checkpoint that waits for nobody. What fails is logged and counted, and the next one opens the
    /// database anew; a disk that fails under it ends the process, as it may have lost what was committed.
    pub fn tick(&self) {
        let (database, rewind) = match &self.kept {
            Kept::Log(database, rewind) => (database, rewind),
            Kept::Number(number) => return number.keep(),
        };
        let mut slot = self.log.lock();
        let result = match checkpoint(database, &mut slot) {
            Ok(Copied { is_busy: true, .. }) => "busy",
            Ok(copied) => {
                if copied.has_grown && copied.pages >= PAGES_MIN && copied.left <= PAGES_LEFT_MAX {
                    rewind.ask();
                }
                "done"
            }
            Err(failure) => {
                tracing::error!(error = failure.reason(), "a checkpoint failed");
                if matches!(failure.remedy(), Remedy::DiskFailed(_)) {
                    tracing::error!(
                        "the disk did not confirm what it was given; what it holds is unknown: ending"
                    );
                    std::process::abort();
                }
                *slot = None;
                "failed"
            }
        };
        self.metrics.checkpoint_runs.with_label_values(&["passive", result]).inc();
    }
}

/// The log, by the connection that copies it.
struct Log {
    conn: SqliteConnection,
    /// Pages that it held the last time.
    pages: i64,
}

/// What a checkpoint has found, and left.
struct Copied {
    /// Somebody else was at it.
    is_busy: bool,
    /// Something was written since the checkpoint before.
    has_grown: bool,
    /// Pages that the log held as it began.
    pages: i64,
    /// Those that are not in the database because a reader needs what they replace.
    left: i64,
}

fn checkpoint(database: &Path, slot: &mut Option<Log>) -> Result<Copied, Failure> {
    let log = match slot {
        Some(log) => log,
        None => slot.insert(Log { conn: connection::checkpointer(database)?, pages: 0 }),
    };
    let (before, mut passes) = (log.pages, 0);
    loop {
        let began = Instant::now();
        let (busy, pages, copied) = PassiveCheckpoint {}.get_result::<(i64, i64, i64)>(&mut log.conn)?;
        log.pages = pages;
        passes += 1;
        if busy != 0 || began.elapsed() <= PASS || passes == PASSES_MAX {
            let (is_busy, left) = (busy != 0, pages.saturating_sub(copied));
            return Ok(Copied { is_busy, has_grown: pages != before, pages, left });
        }
    }
}

statement! {
    /// Answers whether somebody else was at it, the pages of the log, and how many of them are in the database now.
    PassiveCheckpoint {} -> (BigInt, BigInt, BigInt) = "PRAGMA wal_checkpoint(PASSIVE)"
}
