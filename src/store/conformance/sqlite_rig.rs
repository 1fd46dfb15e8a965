//! SQLite in a folder of its own.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use tempfile::TempDir;

use super::Rig;
use super::world::BEGIN;
use crate::checkpointer::{CheckpointLoop, Rewind};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::open::{FolderLock, OpenOptions, open_at};
use crate::readers::Readers;
use crate::sql::statement::statement;
use crate::sqlite::batch_writer::SqliteWriter;
use crate::sqlite::connection;

/// A store in a folder that goes with it.
pub(crate) struct SqliteRig {
    parts: Option<Parts>,
    clock: Clock,
    lanes_max: u32,
    rewind: Rewind,
    folder: TempDir,
}

struct Parts {
    writer: SqliteWriter,
    readers: Readers,
    metrics: Metrics,
    highest_id: i64,
    _lock: FolderLock,
}

impl SqliteRig {
    /// Another connection, for obstacles.
    pub fn connection(&self) -> SqliteConnection {
        connection::writer(&self.database()).unwrap()
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join(connection::FILE)
    }

    /// The write-ahead log's file.
    pub fn wal(&self) -> PathBuf {
        connection::wal_path(&self.database())
    }

    /// A checkpointer of its own, which the writer listens to.
    pub fn checkpoint_loop(&self) -> CheckpointLoop {
        CheckpointLoop::new(self.database(), self.rewind.clone(), Metrics::new().unwrap())
    }

    /// Whether a checkpointer has asked for the log to be begun anew.
    pub fn is_rewind_asked(&self) -> bool {
        self.rewind.take()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Closes everything but the folder.
    pub fn close(self) -> TempDir {
        self.folder
    }

    fn options(&self) -> OpenOptions {
        OpenOptions { lanes_max: self.lanes_max, ..OpenOptions::new(self.folder.path()) }
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().unwrap()
    }
}

impl Rig for SqliteRig {
    const HISTORIES: u32 = 64;
    type Writer = SqliteWriter;

    fn with_lanes(lanes_max: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Self {
            parts: None,
            clock: Clock::stopped_at(BEGIN),
            lanes_max,
            rewind: Rewind::default(),
            folder,
        };
        rig.reopen();
        rig
    }

    fn writer(&mut self) -> &mut SqliteWriter {
        &mut self.parts.as_mut().unwrap().writer
    }

    fn readers(&self) -> &Readers {
        &self.parts().readers
    }

    fn metrics(&self) -> &Metrics {
        &self.parts().metrics
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn highest_id(&self) -> i64 {
        self.parts().highest_id
    }

    fn orphan_count(&self) -> i64 {
        CountOrphans {}.get_result::<(i64,)>(&mut self.connection()).unwrap().0
    }

    fn may_reader_write(&self) -> bool {
        let mut conn = connection::reader(&self.database()).unwrap();
        conn.batch_execute("DELETE FROM tasks").is_ok()
    }

    fn reopen(&mut self) {
        self.parts = None;
        let store = open_at(&self.options(), self.clock.clone()).unwrap();
        let (rewind, clock, metrics) = (self.rewind.clone(), self.clock.clone(), store.metrics.clone());
        let writer = SqliteWriter::open(&self.database(), self.lanes_max, rewind, clock, metrics).unwrap();
        // Ids count as of the last opening; a test that looks at them opens again.
        self.parts = Some(Parts {
            highest_id: store.highest_id,
            writer,
            readers: store.readers,
            metrics: store.metrics,
            _lock: store.lock,
        });
    }

    fn spoil(&mut self, sql: &str) {
        self.connection().batch_execute(sql).unwrap();
    }

    fn refuse_title(&mut self, title: &str) {
        let sql = format!(
            "CREATE TRIGGER refuse_title BEFORE INSERT ON task_specs WHEN NEW.title = '{title}'
             BEGIN SELECT RAISE(ABORT, 'this title is poison'); END"
        );
        self.connection().batch_execute(&sql).unwrap();
    }

    fn refuse_event(&mut self, text: &str) {
        let sql = format!(
            "CREATE TRIGGER refuse_event BEFORE INSERT ON events WHEN NEW.data LIKE '%{text}%'
             BEGIN SELECT RAISE(ABORT, 'this event is poison'); END"
        );
        self.connection().batch_execute(&sql).unwrap();
    }
}

statement! {
    /// Rows without their task.
    CountOrphans {} -> (BigInt,) =
    "SELECT (SELECT count(*) FROM task_specs WHERE task_id NOT IN (SELECT id FROM tasks)) \
     + (SELECT count(*) FROM attempts WHERE task_id NOT IN (SELECT id FROM tasks)) \
     + (SELECT count(*) FROM task_output WHERE task_id NOT IN (SELECT id FROM tasks)) \
     + (SELECT count(*) FROM unique_keys WHERE expires_at IS NULL AND task_id NOT IN (SELECT id FROM tasks))"
}
