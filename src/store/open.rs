//! Opens a data folder, or a server's database beside it: locks, migrations, and the parts that work on it.

mod folder;
pub(crate) mod migrate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::sql_types::{BigInt, Text};
use domain::{Secret, Timestamp};

use crate::checkpointer::CheckpointLoop;
use crate::clock::Clock;
use crate::error::OpenError;
use crate::metrics::Metrics;
use crate::port::BatchWriter;
use crate::postgres;
use crate::postgres::connection::PgConn;
use crate::postgres::writer::PgWriter;
use crate::readers::Readers;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::log;
use crate::sql::statement::statement;
use crate::sqlite::batch_writer::SqliteWriter;
use crate::sqlite::connection;
use crate::writer::{self, WriterHandle, WriterLoop};

pub use crate::postgres::node::NodeLock;
pub use folder::FolderLock;
pub(crate) use folder::{is_held, lock as hold};
pub(crate) use migrate::MIGRATIONS;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The folder that holds the database and its lock; made when it is missing.
    pub data_dir: PathBuf,
    /// URL of a PostgreSQL database that holds everything instead of a file in the folder.
    pub database_url: Option<Secret>,
    /// This node's number, 0 to 1,023.
    pub node: u16,
    /// Most lanes (distinct queue, requirements and pinned agent).
    pub lanes_max: u32,
    /// Most commands that may wait for the writer.
    pub writer_queue: usize,
    /// Most reads at a time; each has a connection with a cache of its own.
    pub reader_connections: usize,
}

impl OpenOptions {
    /// The usual numbers for a folder.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            node: 0,
            lanes_max: 10_000,
            writer_queue: 8_192,
            reader_connections: 4,
        }
    }
}

/// Which database, for those who open connections to it. Without `Debug`: a password may stand in the URL.
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by its URL.
    Postgres(Arc<str>),
}

impl Database {
    /// A connection that only reads.
    pub(crate) fn reader(&self) -> Result<Conn, Failure> {
        match self {
            Self::Sqlite(file) => Ok(connection::reader(file)?.into()),
            Self::Postgres(url) => Ok(PgConn::reader(url)?.into()),
        }
    }
}

/// An open store, in parts.
pub struct Store {
    /// Answers questions.
    pub readers: Readers,
    /// Sends commands.
    pub writer: WriterHandle,
    /// Applies them; somebody has to run it.
    pub writer_loop: WriterLoop,
    /// Keeps the write-ahead log small; somebody has to run it.
    pub checkpoint_loop: CheckpointLoop,
    /// What time it is for this store.
    pub clock: Clock,
    /// What the store counts.
    pub metrics: Metrics,
    /// Names the log of events; random, kept in the database.
    pub epoch: String,
    /// Whether the database was made just now.
    pub is_new: bool,
    /// The highest id ever stored, for an id generator to start above.
    pub highest_id: i64,
    /// Keeps other hives out of the folder.
    pub lock: FolderLock,
    /// Keeps other hives from writing under this node's number, where the database is a server.
    pub node: Option<NodeLock>,
}

/// Opens a data folder, migrating its database where that is needed. Blocks.
///
/// # Errors
/// [`OpenError`] says what is wrong and with which path.
pub fn open(options: &OpenOptions) -> Result<Store, OpenError> {
    open_at(options, Clock::starting_from(Timestamp::ZERO))
}

/// As [`open`], by a clock that the caller holds: for tests with [`Clock::stopped_at`].
///
/// # Errors
/// As [`open`].
pub fn open_at(options: &OpenOptions, clock: Clock) -> Result<Store, OpenError> {
    let lock = folder::lock(&options.data_dir)?;
    match &options.database_url {
        // On a thread of its own: connections to a server wait, and the caller may be a task that must not.
        Some(url) => std::thread::scope(|scope| {
            let opening = scope.spawn(|| open_server(options, Arc::from(url.reveal()), clock, lock));
            opening.join().unwrap_or_else(|_| Err(OpenError::Database("opening it panicked".to_owned())))
        }),
        None => open_file(options, clock, lock),
    }
}

fn open_file(options: &OpenOptions, clock: Clock, lock: FolderLock) -> Result<Store, OpenError> {
    let database = folder::database(&options.data_dir)?;
    let mut conn = connection::writer(&database).map_err(|error| OpenError::Database(error.to_string()))?;
    let is_new = migrate::run(&mut conn, migrate::MIGRATIONS, &options.data_dir)?;
    let standing = standing(&mut Conn::from(conn), clock.now())
        .map_err(|error| OpenError::Database(error.to_string()))?;
    let clock = clock.not_before(standing.last_at);
    let metrics = Metrics::new().map_err(|error| OpenError::Database(error.to_string()))?;
    let (writer, writer_loop) = writer(options, &database, &clock, &metrics);
    let readers = Readers::new(
        Database::Sqlite(database.clone()),
        options.reader_connections,
        clock.clone(),
        metrics.clone(),
    );
    tracing::info!(
        path = %database.display(),
        node = options.node,
        epoch = %standing.epoch,
        seq = standing.last_seq,
        "the store is open"
    );
    Ok(Store {
        readers,
        writer,
        writer_loop,
        checkpoint_loop: CheckpointLoop::new(Some(database), metrics.clone()),
        clock,
        metrics,
        epoch: standing.epoch,
        is_new,
        highest_id: standing.highest_id,
        lock,
        node: None,
    })
}

fn open_server(
    options: &OpenOptions,
    url: Arc<str>,
    clock: Clock,
    lock: FolderLock,
) -> Result<Store, OpenError> {
    let failed = |error: Failure| OpenError::Database(error.to_string());
    let is_new = postgres::open::migrate(&url)?;
    let mut conn = PgConn::writer(&url).map(Conn::from).map_err(|error| failed(error.into()))?;
    let server_time = postgres::open::time(&mut conn).map_err(failed)?;
    let clock = clock.or_following(server_time);
    let standing = standing(&mut conn, clock.now()).map_err(failed)?;
    let node = NodeLock::take(conn, options.node)?;
    let clock = clock.not_before(standing.last_at);
    let metrics = Metrics::new().map_err(|error| OpenError::Database(error.to_string()))?;
    let (writer, writer_loop) = server_writer(options, &url, &node, &clock, &metrics);
    let readers =
        Readers::new(Database::Postgres(url), options.reader_connections, clock.clone(), metrics.clone());
    tracing::info!(
        node = options.node,
        epoch = %standing.epoch,
        seq = standing.last_seq,
        "the store is open, on PostgreSQL"
    );
    Ok(Store {
        readers,
        writer,
        writer_loop,
        checkpoint_loop: CheckpointLoop::new(None, metrics.clone()),
        clock,
        metrics,
        epoch: standing.epoch,
        is_new,
        highest_id: standing.highest_id,
        lock,
        node: Some(node),
    })
}

fn server_writer(
    options: &OpenOptions,
    url: &Arc<str>,
    node: &NodeLock,
    clock: &Clock,
    metrics: &Metrics,
) -> (WriterHandle, WriterLoop) {
    let (url, lanes_max, node) = (Arc::clone(url), options.lanes_max, node.incarnation());
    let (clock, counted) = (clock.clone(), metrics.clone());
    let open = move || {
        let writer: Box<dyn BatchWriter> =
            Box::new(PgWriter::open(&url, node, lanes_max, clock.clone(), counted.clone())?);
        Ok(writer)
    };
    writer::writer(options.writer_queue, metrics.clone(), Box::new(open))
}

fn writer(
    options: &OpenOptions,
    database: &Path,
    clock: &Clock,
    metrics: &Metrics,
) -> (WriterHandle, WriterLoop) {
    let (database, lanes_max) = (database.to_owned(), options.lanes_max);
    let (clock, counted) = (clock.clone(), metrics.clone());
    let open = move || {
        let writer: Box<dyn BatchWriter> =
            Box::new(SqliteWriter::open(&database, lanes_max, clock.clone(), counted.clone())?);
        Ok(writer)
    };
    writer::writer(options.writer_queue, metrics.clone(), Box::new(open))
}

/// Where a database stands when it is opened.
struct Standing {
    epoch: String,
    highest_id: i64,
    last_seq: i64,
    last_at: Timestamp,
}

fn standing(conn: &mut Conn, now: Timestamp) -> Result<Standing, Failure> {
    conn.execute(NameDatabase { now: now.as_micros() })?;
    let (epoch, highest_id): (String, i64) = conn.get_result(LoadName {})?;
    let (last_seq, last_at) = log::head(conn)?;
    Ok(Standing { epoch, highest_id, last_seq, last_at })
}

statement! {
    /// Gives a new database its random name.
    NameDatabase { now: i64 } =
    "INSERT INTO hive (id, epoch, created_at) VALUES (1, ",
    ("lower(hex(randomblob(8)))", "substr(replace(gen_random_uuid()::text, '-', ''), 1, 16)"), ", "; now,
    ") ON CONFLICT (id) DO NOTHING"
}

statement! {
    /// The database's name and its highest id, also of what was removed.
    LoadName {} -> (Text, BigInt) =
    "SELECT epoch, ", ("max", "greatest"), "(ids_floor, coalesce((SELECT max(id) FROM tasks), 0), \
     coalesce((SELECT max(id) FROM agents), 0), coalesce((SELECT max(id) FROM api_keys), 0)) FROM hive WHERE id = 1"
}
