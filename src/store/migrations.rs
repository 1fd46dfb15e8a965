//! The schema of a database seen from outside: which migrations it has, which are pending, and running these.
//!
//! A start does the same by itself unless it is told not to; whoever comes second finds nothing to do.

use std::path::PathBuf;
use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use domain::Timestamp;

use crate::error::OpenError;
use crate::open;
use crate::place::{Place, aside};
use crate::postgres::connection::PgConn;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sqlite::connection;

/// Names and texts, in their order, as the build found them.
mod texts {
    include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
}

/// A migration that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its name, which begins with its date.
    pub name: &'static str,
    /// What it says to the database.
    pub sql: &'static str,
    /// When it was applied, in whole seconds; `None` when it is pending.
    pub applied_at: Option<Timestamp>,
}

/// A migration that was run just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its name.
    pub name: String,
    /// How long it took, waiting for others included.
    pub took: Duration,
}

/// What running migrations did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrated {
    /// Whether the database was empty before.
    pub is_new: bool,
    /// In their order; none when nothing was pending.
    pub applied: Vec<Applied>,
    /// The copy that was made of a file with rows in it.
    pub copy: Option<PathBuf>,
}

/// Every migration that this program knows, in order, and which of them the database has. Changes nothing, also where
/// there is no database yet. Blocks.
///
/// # Errors
/// [`OpenError::Newer`] when the database has one that this program does not know; otherwise what stands in the way.
pub fn status(place: &Place) -> Result<Vec<Step>, OpenError> {
    let (known, applied) = match place {
        Place::Folder(folder) => {
            let file = folder.join(connection::FILE);
            let applied = if file.is_file() {
                let conn = connection::onlooker(&file).map_err(Failure::from)?;
                applied(&mut conn.into())?
            } else {
                Vec::new()
            };
            (texts::SQLITE, applied)
        }
        Place::Server(url) => {
            let applied = aside(|| {
                let conn = PgConn::reader(url.reveal()).map_err(Failure::from)?;
                Ok(applied(&mut conn.into())?)
            })?;
            (texts::POSTGRES, applied)
        }
    };
    steps(known, &applied)
}

/// Runs what is pending, each in a transaction of its own, and says what it did. It takes the lock that a start takes: of
/// a folder nobody may serve meanwhile; on a server others may, and no migration makes them wait for longer than half a
/// second at a time. Blocks.
///
/// # Errors
/// As [`open`](crate::open()); those that were applied before the one that failed stay.
pub fn run(place: &Place) -> Result<Migrated, OpenError> {
    match place {
        Place::Folder(folder) => open::migrate_folder(folder),
        Place::Server(url) => aside(|| open::migrate_server(url.reveal())),
    }
}

/// Refuses a database that lacks migrations.
pub(crate) fn require_none_pending(place: &Place) -> Result<(), OpenError> {
    let steps = status(place)?;
    let pending: Vec<_> = steps.iter().filter(|step| step.applied_at.is_none()).collect();
    match pending.first() {
        None => Ok(()),
        Some(first) => Err(OpenError::Pending { count: pending.len(), first: first.name.to_owned() }),
    }
}

fn steps(
    known: &'static [(&'static str, &'static str)],
    applied: &[(String, i64)],
) -> Result<Vec<Step>, OpenError> {
    let newest = applied.iter().map(|(version, _)| version);
    let unknown = newest.filter(|found| known.iter().all(|(name, _)| version(name) != **found)).max();
    if let Some(found) = unknown {
        let known = known.last().map_or_else(|| "none".to_owned(), |(name, _)| version(name));
        return Err(OpenError::Newer { found: found.clone(), known });
    }
    let when = |name| {
        let found = applied.iter().find(|(applied, _)| *applied == version(name));
        found.map(|(_, seconds)| Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    };
    Ok(known.iter().map(|(name, sql)| Step { name, sql, applied_at: when(name) }).collect())
}

/// The digits before the first `_`, which is how diesel notes a migration.
fn version(name: &str) -> String {
    name.split('_').next().unwrap_or_default().replace('-', "")
}

/// What is noted as applied, and when, in seconds.
fn applied(conn: &mut Conn) -> Result<Vec<(String, i64)>, Failure> {
    let (is_noted,): (i64,) = conn.get_result(HasNotes {})?;
    if is_noted == 0 {
        return Ok(Vec::new());
    }
    Ok(conn.load(LoadNotes {})?)
}

statement! {
    /// Whether migrations were ever noted.
    HasNotes {} -> (BigInt,) =
    ("SELECT count(*) FROM sqlite_schema WHERE name = '__diesel_schema_migrations'",
     "SELECT count(*) FROM pg_class WHERE oid = to_regclass('__diesel_schema_migrations')")
}

statement! {
    /// Migrations that were applied, and when.
    LoadNotes {} -> (Text, BigInt) =
    "SELECT version, ", ("CAST(unixepoch(run_on) AS INTEGER)", "floor(extract(epoch FROM run_on))::bigint"),
    " FROM __diesel_schema_migrations ORDER BY version"
}

#[cfg(test)]
mod tests {
    use diesel::migration::{Migration, MigrationSource};
    use diesel::pg::Pg;
    use diesel::sqlite::Sqlite;

    use super::*;
    use crate::postgres;

    #[test]
    fn the_texts_are_those_of_the_migrations_that_are_run() {
        let sqlite: Vec<Box<dyn Migration<Sqlite>>> = open::MIGRATIONS.migrations().unwrap();
        let postgres: Vec<Box<dyn Migration<Pg>>> = postgres::open::MIGRATIONS.migrations().unwrap();
        let names =
            |texts: &[(&str, &str)]| texts.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            sqlite.iter().map(|known| known.name().to_string()).collect::<Vec<_>>(),
            names(texts::SQLITE)
        );
        assert_eq!(
            postgres.iter().map(|known| known.name().to_string()).collect::<Vec<_>>(),
            names(texts::POSTGRES)
        );
        for (name, sql) in texts::SQLITE.iter().chain(texts::POSTGRES) {
            assert!(sql.contains("TABLE"), "{name} says {sql}");
            assert_eq!(version(name).len(), 14, "{name}");
        }
    }
}
