//! Moves what is committed from the write-ahead log into the database, so that the log stays small. A server does that by
//! itself; there the connection is used that holds the node's number.
//!
//! It waits for nobody and nobody waits for it: a commit appends to the log while the checkpoint copies from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
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

/// Checkpoints on a connection of its own. Cheap to clone.
#[derive(Clone)]
pub struct CheckpointLoop {
    kept: Kept,
    conn: Arc<Mutex<Option<SqliteConnection>>>,
    metrics: Metrics,
}

/// What is looked after.
#[derive(Clone)]
enum Kept {
    Log(PathBuf),
    Number(NodeKeeper),
}

impl CheckpointLoop {
    pub(crate) fn new(database: PathBuf, metrics: Metrics) -> Self {
        Self::of(Kept::Log(database), metrics)
    }

    pub(crate) fn of_server(number: NodeKeeper, metrics: Metrics) -> Self {
        Self::of(Kept::Number(number), metrics)
    }

    fn of(kept: Kept, metrics: Metrics) -> Self {
        Self { kept, conn: Arc::new(Mutex::new(None)), metrics }
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
        let database = match &self.kept {
            Kept::Log(database) => database,
            Kept::Number(number) => return number.keep(),
        };
        let mut slot = self.conn.lock();
        let result = match checkpoint(database, &mut slot) {
            Ok(true) => "done",
            Ok(false) => "busy",
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

fn checkpoint(database: &Path, slot: &mut Option<SqliteConnection>) -> Result<bool, Failure> {
    let conn = match slot {
        Some(conn) => conn,
        None => slot.insert(connection::checkpointer(database)?),
    };
    let (busy,) = PassiveCheckpoint {}.get_result::<(i64,)>(conn)?;
    Ok(busy == 0)
}

statement! {
    /// Answers whether somebody else was at it.
    PassiveCheckpoint {} -> (BigInt,) = "PRAGMA wal_checkpoint(PASSIVE)"
}
