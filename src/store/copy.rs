//! Copies a hive that is stopped from one database into another that is empty, of the same kind or the other one.
//!
//! ```text
//!   hold both ── source has today's schema ── target is empty ── one transaction: rows, a page at a time
//!                                                                └─ digests of both sides agree ── commit
//! ```
//!
//! Invariant: a target is believed only when every table of it has the rows of the source, by count and by digest; before
//! that nothing of it is there: on a server the transaction is not committed, in a folder the file has another name.
//!
//! Invariant: the source is only read, and nobody serves from either side meanwhile.
//!
//! Reading order: [`copy`], `sides` (the two databases), `tables` (what goes), `pages` (how), `digest` (whether it did).

mod digest;
mod pages;
mod sides;
mod tables;

use std::time::{Duration, Instant};

use crate::error::OpenError;
use crate::migrations;
use crate::place::Place;
use crate::sql::failure::Failure;
use crate::sql::log;
use digest::Digest;
use sides::{Source, Target};
use tables::TABLES;

/// Every table and its columns, by name; and tables that are left out, for a test that compares them with what there is.
#[cfg(test)]
pub(crate) fn covered() -> (Vec<(String, Vec<String>)>, [&'static str; 3]) {
    let columns = |table: &tables::TableSpec| {
        let mut names: Vec<_> = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        (table.name.to_owned(), names)
    };
    let mut all: Vec<_> = TABLES.iter().map(columns).collect();
    all.sort();
    (all, tables::NOT_OF_THE_HIVE)
}

/// Why a hive was not copied. The source is as it was, and there is nothing new in the target but perhaps its empty tables.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A side cannot be opened, is in use, or has another schema than this program knows.
    #[error("cannot copy {side} this database")]
    Open {
        /// Which of the two.
        side: Side,
        /// What is wrong with it.
        source: OpenError,
    },
    /// The source is no hive.
    #[error("there is no hive in the database to copy from")]
    NoHive,
    /// The target holds something already.
    #[error("the database to copy to is not empty: {0}")]
    NotEmpty(String),
    /// What arrived is not what was sent.
    #[error("the copy differs from its source and was not kept: {0}")]
    Different(String),
    /// A database says no meanwhile.
    #[error("cannot {doing}: {why}")]
    Database {
        /// What was tried.
        doing: String,
        /// What it says.
        why: String,
    },
}

/// One of the two databases of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is read.
    Source,
    /// What is written.
    Target,
}

impl Side {
    /// What is wrong with this one.
    fn refused(self) -> impl Fn(OpenError) -> Error + Copy {
        move |source| Error::Open { side: self, source }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "from",
            Self::Target => "to",
        })
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which table is copied.
    pub table: &'static str,
    /// Rows of it that are copied.
    pub rows: u64,
    /// Rows that it has.
    pub of: u64,
}

/// One table of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has on both sides.
    pub rows: u64,
    /// SHA-256 over all of its rows in the order of their key, the same on both sides; in hex.
    pub sha256: String,
}

/// A hive that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Names its log, which goes on under the same name.
    pub epoch: String,
    /// The last event.
    pub last_seq: i64,
    /// Every table.
    pub tables: Vec<CopiedTable>,
    /// How long it took.
    pub took: Duration,
}

/// Copies a hive that is stopped into a database that is empty; `told` hears how far it is after each page. Blocks, for as
/// long as reading everything twice takes.
///
/// # Errors
/// See [`enum@Error`].
pub fn copy(from: &Place, to: &Place, told: &mut (dyn FnMut(Progress) + Send)) -> Result<Copied, Error> {
    // On a thread of its own: connections to a server wait, and the caller may be a task that must not.
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| copy_here(from, to, told));
        copying.join().unwrap_or_else(|_| Err(database("copy", &"the thread that did panicked")))
    })
}

fn copy_here(from: &Place, to: &Place, told: &mut (dyn FnMut(Progress) + Send)) -> Result<Copied, Error> {
    let began = Instant::now();
    require_todays_schema(from)?;
    let mut source = Source::open(from)?;
    let mut target = Target::open(to)?;
    for table in TABLES {
        pages::copy(table, &mut source.conn, &mut target.conn, told)
            .map_err(|failure| database(&format!("copy the table {}", table.name), &failure))?;
    }
    target.end_the_log().map_err(|failure| database("note where the log ends", &failure))?;
    let read = |failure: Failure| database("compare the copy with its source", &failure);
    let mut tables = Vec::with_capacity(TABLES.len());
    let mut differences = Vec::new();
    for table in TABLES {
        let sent = digest::of(&mut source.conn, table.name).map_err(read)?;
        let arrived = digest::of(&mut target.conn, table.name).map_err(read)?;
        differences.extend(difference(table.name, &sent, &arrived));
        tables.push(CopiedTable { name: table.name, rows: sent.rows, sha256: sent.sha256 });
    }
    if !differences.is_empty() {
        return Err(Error::Different(differences.join("; ")));
    }
    let epoch = source.epoch.clone();
    let (last_seq, _) = log::head(&mut source.conn).map_err(read)?;
    target.keep()?;
    Ok(Copied { epoch, last_seq, tables, took: began.elapsed() })
}

/// A source of an older hive is brought up to date by that command, which keeps a copy; not here, where nothing of it changes.
fn require_todays_schema(from: &Place) -> Result<(), Error> {
    let steps = migrations::status(from).map_err(Side::Source.refused())?;
    if steps.iter().all(|step| step.applied_at.is_none()) {
        return Err(Error::NoHive);
    }
    migrations::require_none_pending(from).map_err(Side::Source.refused())
}

fn difference(table: &str, sent: &Digest, arrived: &Digest) -> Option<String> {
    if sent.columns != arrived.columns {
        Some(format!("the table {table} has other columns"))
    } else if sent.rows != arrived.rows {
        Some(format!("the table {table} has {} rows, and {} arrived", sent.rows, arrived.rows))
    } else if sent.sha256 != arrived.sha256 {
        Some(format!("rows of the table {table} are not the same"))
    } else {
        None
    }
}

fn database(doing: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Database { doing: doing.to_owned(), why: why.to_string() }
}
