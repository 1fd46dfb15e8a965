//! PostgreSQL: a schema of its own on a real server, which all tests of one run share.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::Secret;
use tempfile::TempDir;

use super::Rig;
use super::sqlite_rig::CountOrphans;
use super::world::BEGIN;
use crate::clock::Clock;
use crate::error::OpenError;
use crate::metrics::Metrics;
use crate::open::{FolderLock, NodeLock, OpenOptions, open_at};
use crate::postgres::connection::{Address, PgConn};
use crate::postgres::node::Incarnation;
use crate::postgres::session::PgSession;
use crate::postgres::writer::PgWriter;
use crate::readers::Readers;

/// The URL of the run's server, which `tests/postgres` starts where none runs and ends with the runner.
fn server() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/postgres");
        let runner = std::os::unix::process::parent_id().to_string();
        let found = Command::new(script).arg(runner).output().unwrap();
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(found.status.success(), "there is no PostgreSQL server to test with: {said}");
        eprint!("{said}");
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    })
}

/// A schema that nobody else uses. It goes with the server.
pub(crate) struct Schema {
    name: String,
    url: String,
}

impl Schema {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("t{}_{count}", std::process::id());
        let mut conn = PgConn::writer(server()).unwrap();
        conn.batch_execute(&format!("CREATE SCHEMA {name}")).unwrap();
        let url = format!("{}?options=-csearch_path%3D{name}", server());
        Self { name, url }
    }

    /// The URL that leads into it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another connection, for obstacles.
    pub fn connection(&self) -> PgSession {
        let mut conn = PgConn::writer(self.url.as_str()).unwrap();
        conn.batch_execute("SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0").unwrap();
        PgSession::new(conn)
    }

    /// Runs statements on a connection of their own.
    pub fn execute(&self, sql: &str) {
        self.connection().batch_execute(sql).unwrap();
    }
}

/// A store in a schema and a folder that go with it.
pub(crate) struct PostgresRig {
    parts: Option<Parts>,
    clock: Clock,
    lanes_max: u32,
    folder: TempDir,
    pub schema: Schema,
}

struct Parts {
    writer: PgWriter,
    readers: Readers,
    metrics: Metrics,
    highest_id: i64,
    node: NodeLock,
    _lock: FolderLock,
}

impl PostgresRig {
    /// How the store is opened.
    pub fn options(&self) -> OpenOptions {
        OpenOptions {
            lanes_max: self.lanes_max,
            database_url: Some(Secret::new(self.schema.url())),
            ..OpenOptions::new(self.folder.path())
        }
    }

    /// Closes everything but the folder and the schema.
    pub fn close(self) -> (TempDir, Schema) {
        (self.folder, self.schema)
    }

    /// A second writer of the present incarnation, over any way to the server.
    pub fn another_writer(&self, address: impl Into<Address>) -> PgWriter {
        self.writer_of(self.incarnation(), address).unwrap()
    }

    /// A writer of any incarnation.
    pub fn writer_of(&self, node: Incarnation, address: impl Into<Address>) -> Result<PgWriter, OpenError> {
        let metrics = crate::metrics::Metrics::new().unwrap();
        PgWriter::open(address, node, self.lanes_max, self.clock.clone(), metrics)
    }

    /// The present incarnation.
    pub fn incarnation(&self) -> Incarnation {
        self.parts().node.incarnation()
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().unwrap()
    }
}

impl Rig for PostgresRig {
    const HISTORIES: u32 = 16;
    type Writer = PgWriter;

    fn with_lanes(lanes_max: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, schema) = (Clock::stopped_at(BEGIN), Schema::new());
        let mut rig = Self { parts: None, clock, lanes_max, folder, schema };
        rig.reopen();
        rig
    }

    fn writer(&mut self) -> &mut PgWriter {
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
        self.schema.connection().get_result::<(i64,), _>(CountOrphans {}).unwrap().0
    }

    fn may_reader_write(&self) -> bool {
        let mut conn = PgConn::reader(self.schema.url()).unwrap();
        conn.batch_execute("DELETE FROM tasks").is_ok()
    }

    fn reopen(&mut self) {
        self.parts = None;
        let store = open_at(&self.options(), self.clock.clone()).unwrap();
        let node = store.node.unwrap();
        let (clock, metrics) = (self.clock.clone(), store.metrics.clone());
        let writer =
            PgWriter::open(self.schema.url(), node.incarnation(), self.lanes_max, clock, metrics).unwrap();
        self.parts = Some(Parts {
            highest_id: store.highest_id,
            writer,
            readers: store.readers,
            metrics: store.metrics,
            node,
            _lock: store.lock,
        });
    }

    fn spoil(&mut self, sql: &str) {
        self.schema.execute(sql);
    }

    fn refuse_title(&mut self, title: &str) {
        self.schema.execute(&format!(
            "CREATE FUNCTION refuse_title() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF NEW.title = '{title}' THEN RAISE EXCEPTION 'this title is poison'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER refuse_title BEFORE INSERT ON task_specs FOR EACH ROW EXECUTE FUNCTION refuse_title()"
        ));
    }

    fn refuse_event(&mut self, text: &str) {
        self.schema.execute(&format!(
            "CREATE FUNCTION refuse_event() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF NEW.data LIKE '%{text}%' THEN RAISE EXCEPTION 'this event is poison'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER refuse_event BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_event()"
        ));
    }
}
