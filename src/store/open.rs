//! Opens a data folder, or a server's database beside it: locks, migrations, and the parts that work on it.

mod folder;
pub(crate) mod migrate;

use std::path::{Path, PathBuf};

use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use domain::{Secret, Timestamp};

use crate::checkpointer::{CheckpointLoop, Rewind};
use crate::clock::Clock;
use crate::error::OpenError;
use crate::metrics::Metrics;
use crate::migrations::{self, Migrated};
use crate::place::{Place, aside};
use crate::port::BatchWriter;
use crate::postgres;
use crate::postgres::connection::{Address, PgConn};
use crate::postgres::node::Incarnation;
use crate::postgres::writer::PgWriter;
use crate::readers::Readers;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::log;
use crate::sql::statement::statement;
use crate::sqlite::batch_writer::{self, SqliteWriter};
use crate::sqlite::connection;
use crate::threads::Threads;
use crate::timeouts::Timeouts;
use crate::writer::{self, WriterHandle, WriterLoop};

pub use crate::postgres::node::NodeLock;
pub use folder::{FolderLock, make_folder};
pub(crate) use folder::{is_held, lock as hold, private_file};
pub(crate) use migrate::MIGRATIONS;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The folder that holds the database and its lock; made when it is missing.
    pub data_dir: PathBuf,
    /// URL of a PostgreSQL database that holds everything instead of a file in the folder.
    pub database_url: Option<Secret>,
    /// Whether what the database lacks of the schema is made up for; where it is not, a database that lacks something is
    /// refused.
    pub is_migrating: bool,
    /// This node's number, 0 to 1,023.
    pub node: u16,
    /// Most lanes (distinct queue, requirements and pinned agent).
    pub lanes_max: u32,
    /// Most commands that may wait for the writer.
    pub writer_queue: usize,
    /// Most reads at a time; each has a connection with a cache of its own.
    pub reader_connections: usize,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// On whose threads it works.
    pub threads: Threads,
}

impl OpenOptions {
    /// The usual numbers for a folder.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            is_migrating: true,
            node: 0,
            lanes_max: 10_000,
            writer_queue: 8_192,
            reader_connections: 4,
            timeouts: Timeouts::default(),
            threads: Threads::default(),
        }
    }
}

/// Which database, for those who open connections to it. Without `Debug`: a password may stand in the URL.
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Address),
}

impl Database {
    /// A connection that only reads.
    pub(crate) fn reader(&self) -> Result<Conn, Failure> {
        match self {
            Self::Sqlite(file) => Ok(connection::reader(file)?.into()),
            Self::Postgres(address) => Ok(PgConn::reader(address)?.into()),
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
    /// Keeps the write-ahead log small, or the node's number its own; somebody has to run it.
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
    /// On whose threads it works.
    pub threads: Threads,
    /// Keeps other hives from writing under this node's number, where the database is a server.
    pub node: Option<NodeLock>,
}

impl Store {
    /// Comes back when another hive has taken this one's place: it can write nothing any more, and must end. Never where
    /// the database is a file.
    pub async fn lost(&self) {
        match &self.node {
            Some(node) => node.lost().await,
            None => std::future::pending().await,
        }
    }
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
        Some(url) => {
            aside(|| open_server(options, Address::new(url.reveal(), options.timeouts), clock, lock))
        }
        None => open_file(options, clock, lock),
    }
}

fn open_file(options: &OpenOptions, clock: Clock, lock: FolderLock) -> Result<Store, OpenError> {
    if !options.is_migrating {
        migrations::require_none_pending(&Place::Folder(options.data_dir.clone()))?;
    }
    let (database, mut conn) = file(&options.data_dir)?;
    let is_new = migrate::run(&mut conn, migrate::MIGRATIONS, &options.data_dir)?.is_new;
    let mut conn = Conn::from(conn);
    let standing = standing(&mut conn, clock.now())?;
    // The last connection that closes would do the same, and keep to itself that the disk did not confirm it: what an
    // earlier process left in the log would be gone with the power, and all that is written behind it.
    batch_writer::truncate(&mut conn).map_err(Failure::from)?;
    drop(conn);
    let clock = clock.not_before(standing.last_at);
    let metrics = Metrics::new().map_err(|error| OpenError::Database(error.to_string()))?;
    let rewind = Rewind::default();
    let (writer, writer_loop) = writer(options, &database, &rewind, &clock, &metrics);
    let readers = Readers::new(options, Database::Sqlite(database.clone()), clock.clone(), metrics.clone());
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
        checkpoint_loop: CheckpointLoop::new(database, rewind, metrics.clone()),
        clock,
        metrics,
        epoch: standing.epoch,
        is_new,
        highest_id: standing.highest_id,
        lock,
        threads: options.threads,
        node: None,
    })
}

/// Brings the database of a folder that nobody serves from to the schema that this program knows.
pub(crate) fn migrate_folder(data_dir: &Path) -> Result<Migrated, OpenError> {
    let _lock = folder::lock(data_dir)?;
    let (_, mut conn) = file(data_dir)?;
    migrate::run(&mut conn, migrate::MIGRATIONS, data_dir)
}

/// A file that is new, with the schema that this program knows.
pub(crate) fn migrated(mut conn: SqliteConnection, folder: &Path) -> Result<SqliteConnection, OpenError> {
    migrate::run(&mut conn, migrate::MIGRATIONS, folder)?;
    Ok(conn)
}

/// Brings a server's database to the schema that this program knows; others may use it meanwhile.
pub(crate) fn migrate_server(address: impl Into<Address>) -> Result<Migrated, OpenError> {
    postgres::open::migrate(address, postgres::open::MIGRATIONS, postgres::open::TRIES)
}

fn file(data_dir: &Path) -> Result<(PathBuf, SqliteConnection), OpenError> {
    let database = folder::database(data_dir)?;
    let conn = connection::writer(&database).map_err(Failure::from)?;
    Ok((database, conn))
}

fn open_server(
    options: &OpenOptions,
    address: Address,
    clock: Clock,
    lock: FolderLock,
) -> Result<Store, OpenError> {
    let is_new = if options.is_migrating {
        migrate_server(&address)?.is_new
    } else {
        migrations::require_none_pending(&Place::Server(Secret::new(address.url())))?;
        false
    };
    let mut conn = PgConn::writer(&address).map(Conn::from).map_err(Failure::from)?;
    let server_time = postgres::open::time(&mut conn)?;
    let clock = clock.or_following(server_time);
    // First the number: the hive before may still have written while it was waited for.
    let incarnation = Incarnation::begin(&mut conn, options.node)?;
    let standing = standing(&mut conn, clock.now())?;
    let node = NodeLock::keep(conn, incarnation, &address)?;
    let clock = clock.not_before(standing.last_at);
    let metrics = Metrics::new().map_err(|error| OpenError::Database(error.to_string()))?;
    let (writer, writer_loop) = server_writer(options, &address, &node, &clock, &metrics);
    let readers = Readers::new(options, Database::Postgres(address), clock.clone(), metrics.clone());
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
        checkpoint_loop: CheckpointLoop::of_server(node.keeper(), metrics.clone()),
        clock,
        metrics,
        epoch: standing.epoch,
        is_new,
        highest_id: standing.highest_id,
        lock,
        threads: options.threads,
        node: Some(node),
    })
}

fn server_writer(
    options: &OpenOptions,
    address: &Address,
    node: &NodeLock,
    clock: &Clock,
    metrics: &Metrics,
) -> (WriterHandle, WriterLoop) {
    let (address, lanes_max, node) = (address.clone(), options.lanes_max, node.incarnation());
    let (clock, counted) = (clock.clone(), metrics.clone());
    let open = move || {
        let writer: Box<dyn BatchWriter> =
            Box::new(PgWriter::open(&address, node, lanes_max, clock.clone(), counted.clone())?);
        Ok(writer)
    };
    writer::writer(options.writer_queue, options.timeouts.slow, metrics.clone(), Box::new(open))
}

fn writer(
    options: &OpenOptions,
    database: &Path,
    rewind: &Rewind,
    clock: &Clock,
    metrics: &Metrics,
) -> (WriterHandle, WriterLoop) {
    let (database, lanes_max) = (database.to_owned(), options.lanes_max);
    let (rewind, clock, counted) = (rewind.clone(), clock.clone(), metrics.clone());
    let open = move || {
        let (rewind, clock) = (rewind.clone(), clock.clone());
        let writer = SqliteWriter::open(&database, lanes_max, rewind, clock, counted.clone())?;
        let writer: Box<dyn BatchWriter> = Box::new(writer);
        Ok(writer)
    };
    writer::writer(options.writer_queue, options.timeouts.slow, metrics.clone(), Box::new(open))
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
