//! Copies of a database, and what a database holds, seen from outside the writer.
//!
//! [`copy`] is `VACUUM INTO`: one read transaction on a connection of its own. The writer goes on beside it (the
//! write-ahead log keeps what it appends, and only grows until the copy is done), and the copy is never begun anew,
//! whatever is written meanwhile: SQLite's online backup in steps would be, with every commit of another connection.
//! The copy holds everything that was committed before it began, needs no write-ahead log and has no free pages.
//!
//! Invariant: nothing here writes to a database that serves; it is opened read-only.

mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use domain::{TaskState, Timestamp};

use crate::open::{FolderLock, MIGRATIONS, hold as take};
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sqlite::batch_writer::log_head;
use crate::sqlite::connection;

pub use rows::{Unreadable, unreadable};

/// Why a database cannot be copied or looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no database {}", .0.display())]
    Missing(PathBuf),
    /// It is not whole, or its parts contradict each other.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A newer program has migrated it further than this one knows.
    #[error(
        "the database was written by a newer hive (it has migration {found}, this program knows up to {known})"
    )]
    Newer {
        /// The newest migration found.
        found: String,
        /// The newest migration known.
        known: String,
    },
    /// SQLite says no: the disk is full, it is not a database, and so on.
    #[error("cannot {doing} {}: {why}", .path.display())]
    Database {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
}

/// What a database holds at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Names its log of events.
    pub epoch: String,
    /// The newest migration in it.
    pub schema: String,
    /// The first event that is still there; one above `last_seq` when there is none.
    pub first_seq: i64,
    /// The last event, also when retention has removed it.
    pub last_seq: i64,
    /// Its time; 0 when it is not there.
    pub last_at: Timestamp,
    /// Tasks by state; states without tasks are left out.
    pub tasks: BTreeMap<&'static str, u64>,
    /// Agents that were not removed.
    pub agent_count: u64,
}

/// How closely a database is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Every page and every index: what a copy must stand.
    Whole,
    /// Every page, but not whether indexes agree with their tables.
    Quick,
}

/// Which file is read, and whether somebody may write to it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The database of a data folder; a hive may serve from it.
    Living,
    /// A copy at rest, to which nobody writes.
    Resting,
}

/// The database of a data folder.
#[must_use]
pub fn database(data_dir: &Path) -> PathBuf {
    data_dir.join(connection::FILE)
}

/// Its write-ahead log, which is there while it is open, and after a crash.
#[must_use]
pub fn log_of(database: &Path) -> PathBuf {
    connection::wal_path(database)
}

/// Holds a data folder, so that no hive can be started in it.
///
/// # Errors
/// When one serves from it, or it cannot be used.
pub fn hold(data_dir: &Path) -> Result<FolderLock, crate::OpenError> {
    take(data_dir)
}

/// Whether a hive serves from a folder, or begins or ends just now; `None` when that cannot be seen. Makes nothing.
#[must_use]
pub fn is_held(data_dir: &Path) -> Option<bool> {
    crate::open::is_held(data_dir)
}

/// Copies a database into a file that is empty or not there, while a hive serves from it or not. Blocks. It neither
/// syncs the copy nor looks at it.
///
/// # Errors
/// See [`Error`]; half a copy may be left.
pub fn copy(database: &Path, into: &Path) -> Result<(), Error> {
    let failed = refused("copy", database);
    let mut conn = open(database, Kind::Living)?;
    let quoted = into.to_string_lossy().replace('\'', "''");
    conn.batch_execute(&format!("VACUUM INTO '{quoted}'")).map_err(|error| failed(&error))
}

/// Checks a database and counts what is in it, at one moment of it. Blocks, for as long as reading it all takes.
///
/// # Errors
/// [`Error::Damaged`] when pages are broken, rows refer to rows that are not there or the log has a hole;
/// [`Error::Newer`]; or what SQLite says.
pub fn inspect(database: &Path, kind: Kind, look: Look) -> Result<Contents, Error> {
    let mut conn = open(database, kind)?;
    let failed = refused("read", database);
    conn.batch_execute("BEGIN").map_err(|error| failed(&error))?;
    whole(&mut conn, look).map_err(|why| why.of(database))?;
    let schema = schema(&mut conn).map_err(|why| why.of(database))?;
    let contents = contents(&mut conn, schema).map_err(|why| why.of(database))?;
    consistent(&mut conn, &contents).map_err(|why| why.of(database))?;
    Ok(contents)
}

/// What a database says about itself at a glance, also a large one: nothing is checked or counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The newest migration in it.
    pub schema: String,
    /// Whether `schema` is the newest that this program knows; otherwise the next start migrates it.
    pub is_current: bool,
    /// The last event of its log.
    pub last_seq: i64,
    /// Its time; 0 when it is not there.
    pub last_at: Timestamp,
}

/// Looks at a database without reading much of it. Blocks.
///
/// # Errors
/// As [`inspect`], for what can be seen at a glance.
pub fn glance(database: &Path) -> Result<Glance, Error> {
    let mut conn = open(database, Kind::Living)?;
    let schema = schema(&mut conn).map_err(|why| why.of(database))?;
    let (last_seq, last_at) = log_head(&mut conn).map_err(|why| Against::from(why).of(database))?;
    let newest = known().map_err(|why| why.of(database))?.into_iter().max();
    Ok(Glance { is_current: newest.as_ref() == Some(&schema), schema, last_seq, last_at })
}

/// Whether a database is whole, page by page. Blocks, for as long as reading it all takes.
///
/// # Errors
/// [`Error::Damaged`], or what SQLite says.
pub fn check(database: &Path, look: Look) -> Result<(), Error> {
    let mut conn = open(database, Kind::Living)?;
    whole(&mut conn, look).map_err(|why| why.of(database))
}

/// Gives the log of a database that nobody has open a new name: what follows in it is another history than what
/// followed in the database it was copied from.
///
/// # Errors
/// What SQLite says.
pub fn rename_log(database: &Path) -> Result<(), Error> {
    let failed = refused("change", database);
    let mut conn = connection::lone(database).map_err(|error| failed(&error))?;
    RenameLog {}.execute(&mut conn).map(|_| ()).map_err(|error| failed(&error))
}

/// Moves all of the write-ahead log into the database and removes it. Hold the folder meanwhile.
///
/// # Errors
/// What SQLite says; then both files are as they were.
pub fn settle(database: &Path) -> Result<(), Error> {
    let failed = refused("settle", database);
    let mut conn = connection::lone(database).map_err(|error| failed(&error))?;
    // leaving the write-ahead mode needs the database for itself, and leaves no log behind
    conn.batch_execute("PRAGMA journal_mode = DELETE").map_err(|error| failed(&error))
}

fn open(database: &Path, kind: Kind) -> Result<SqliteConnection, Error> {
    if !database.is_file() {
        return Err(Error::Missing(database.to_owned()));
    }
    let opened = match kind {
        Kind::Living => connection::onlooker(database),
        Kind::Resting => connection::archivist(database),
    };
    opened.map_err(|error| refused("open", database)(&error))
}

fn refused(doing: &'static str, path: &Path) -> impl Fn(&dyn std::error::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Database { doing, path: path.clone(), why: error.to_string() }
}

/// What speaks against a database, before its path is known.
enum Against {
    Finding(Error),
    Answer(Failure),
}

impl Against {
    fn of(self, database: &Path) -> Error {
        match self {
            Self::Finding(error) => error,
            Self::Answer(failure) => match failure {
                Failure::Corrupt { .. } => Error::Damaged(failure.to_string()),
                Failure::Database(error) => refused("read", database)(&error),
                Failure::Unfit(why) => Error::Damaged(why),
            },
        }
    }
}

impl<E: Into<Failure>> From<E> for Against {
    fn from(error: E) -> Self {
        Self::Answer(error.into())
    }
}

fn whole(conn: &mut SqliteConnection, look: Look) -> Result<(), Against> {
    let found: Vec<(String,)> = match look {
        Look::Whole => WholeCheck {}.load(conn)?,
        Look::Quick => QuickCheck {}.load(conn)?,
    };
    match found.as_slice() {
        [(word,)] if word == "ok" => Ok(()),
        [] => Err(damaged("its check says nothing")),
        [(first,), ..] => Err(damaged(first.lines().last().unwrap_or(first))),
    }
}

/// The newest migration, when this program knows all of them.
fn schema(conn: &mut SqliteConnection) -> Result<String, Against> {
    let applied: Vec<(String,)> = Applied {}.load(conn)?;
    let newest = applied.into_iter().map(|(version,)| version).max();
    let newest = newest.ok_or_else(|| damaged("it has no schema"))?;
    let known = known()?;
    if known.contains(&newest) {
        return Ok(newest);
    }
    let known = known.into_iter().max().unwrap_or_default();
    Err(Against::Finding(Error::Newer { found: newest, known }))
}

/// Every migration that this program knows.
fn known() -> Result<Vec<String>, Against> {
    let known: Vec<Box<dyn Migration<Sqlite>>> =
        MIGRATIONS.migrations().map_err(|error| damaged(&error.to_string()))?;
    Ok(known.iter().map(|known| known.name().version().to_string()).collect())
}

fn contents(conn: &mut SqliteConnection, schema: String) -> Result<Contents, Against> {
    let (last_seq, last_at) = log_head(conn)?;
    let (epoch, first_seq, agents): (String, i64, i64) = LogAndAgents {}.get_result(conn)?;
    let mut tasks = BTreeMap::new();
    let counts: Vec<(i16, i64)> = CountByState {}.load(conn)?;
    for (code, count) in counts {
        let state = TaskState::from_code(code).ok_or_else(|| damaged(&format!("a task of state {code}")))?;
        tasks.insert(state.as_str(), u64::try_from(count).unwrap_or_default());
    }
    let agent_count = u64::try_from(agents).unwrap_or_default();
    let first_seq = if first_seq == 0 { last_seq.saturating_add(1) } else { first_seq };
    Ok(Contents { epoch, schema, first_seq, last_seq, last_at, tasks, agent_count })
}

/// The log has no hole, and no row refers to one that is not there.
fn consistent(conn: &mut SqliteConnection, contents: &Contents) -> Result<(), Against> {
    let (events, floor): (i64, i64) = LogExtent {}.get_result(conn)?;
    let expected = contents.last_seq.saturating_sub(contents.first_seq).saturating_add(1);
    if events != expected || floor.saturating_add(1) != contents.first_seq {
        return Err(damaged(&format!(
            "the log has a hole: {events} events from {} to {}",
            contents.first_seq, contents.last_seq
        )));
    }
    for (what, (count,)) in [
        ("tasks without what they ask for", NoSpec {}.get_result::<(i64,)>(conn)?),
        ("tasks without a lane", NoLane {}.get_result(conn)?),
        ("attempts without a task", NoTask {}.get_result(conn)?),
        (
            "tasks whose last event is not in the log yet",
            NoEvent { last: contents.last_seq }.get_result(conn)?,
        ),
    ] {
        if count > 0 {
            return Err(damaged(&format!("{count} {what}")));
        }
    }
    Ok(())
}

fn damaged(why: &str) -> Against {
    Against::Finding(Error::Damaged(why.to_owned()))
}

statement! {
    /// One row `ok`, or what is wrong.
    WholeCheck {} -> (Text,) = "PRAGMA integrity_check(1)"
}

statement! {
    /// One row `ok`, or what is wrong.
    QuickCheck {} -> (Text,) = "PRAGMA quick_check(1)"
}

statement! {
    /// Every migration that was run.
    Applied {} -> (Text,) = "SELECT version FROM __diesel_schema_migrations"
}

statement! {
    /// The name and the first event of the log, 0 for none; agents that are there.
    LogAndAgents {} -> (Text, BigInt, BigInt) =
    "SELECT epoch, coalesce((SELECT min(seq) FROM events), 0), \
     (SELECT count(*) FROM agents WHERE removed_at IS NULL) FROM hive WHERE id = 1"
}

statement! {
    /// Tasks by state.
    CountByState {} -> (SmallInt, BigInt) = "SELECT state, count(*) FROM tasks GROUP BY state"
}

statement! {
    /// Events that are there, and the last one that retention removed.
    LogExtent {} -> (BigInt, BigInt) =
    "SELECT (SELECT count(*) FROM events), events_floor FROM hive WHERE id = 1"
}

statement! {
    /// Tasks without a specification.
    NoSpec {} -> (BigInt,) = "SELECT count(*) FROM tasks WHERE id NOT IN (SELECT task_id FROM task_specs)"
}

statement! {
    /// Tasks without a lane.
    NoLane {} -> (BigInt,) = "SELECT count(*) FROM tasks WHERE lane_id NOT IN (SELECT id FROM lanes)"
}

statement! {
    /// Attempts without a task.
    NoTask {} -> (BigInt,) = "SELECT count(*) FROM attempts WHERE task_id NOT IN (SELECT id FROM tasks)"
}

statement! {
    /// Tasks that are ahead of the log.
    NoEvent { last: i64 } -> (BigInt,) = "SELECT count(*) FROM tasks WHERE last_event_seq > "; last
}

statement! {
    /// Another random name.
    RenameLog {} = "UPDATE hive SET epoch = lower(hex(randomblob(8))) WHERE id = 1"
}

#[cfg(test)]
mod tests;
