//! Brings a server's database to the schema that this program knows.

use std::error::Error;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::BigInt;
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::Timestamp;

use super::connection::{self, Address};
use crate::error::OpenError;
use crate::migrations::Migrated;
use crate::open::migrate;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// Every migration this program knows.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Held while migrations run: hives that start together run them one after the other. Times are noted in UTC, and a lock is
/// waited for a minute: so long may the migrations of another program take.
const ONE_AT_A_TIME: &str = "SET timezone = 'UTC'; SET lock_timeout = '60s'; \
                             SELECT pg_advisory_lock(hashtext('hive migrations ' || current_schema()))";

/// How long a migration waits for a table. Whoever comes after it waits behind it for as long, readers too, so it is short
/// and tried again after a pause in which they go on.
const BRIEFLY: &str = "SET lock_timeout = '500ms'";
/// The pause; as long as the wait, so that a hive that serves is held up for half of the time at most.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is tried: for two minutes in all. Whoever holds a table for longer is not one of ours.
pub(crate) const TRIES: u32 = 120;

/// How the server says that a lock was waited for in vain.
const LOCK_TIMEOUT: &str = "canceling statement due to lock timeout";

type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;

/// Runs what is pending; says what it did. Others may read and write meanwhile; what they hold is asked for so often.
pub(crate) fn migrate(
    address: impl Into<Address>,
    source: impl MigrationSource<Pg>,
    tries: u32,
) -> Result<Migrated, OpenError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| OpenError::Database(error.to_string()))?;
    let conn = runtime.block_on(connection::connect(&address.into(), "hive migrations"));
    let conn = conn.map_err(Failure::from)?;
    // The wrapper waits on the runtime that it finds itself in.
    let _entered = runtime.enter();
    let mut conn = Blocking::from(conn);
    let _ = conn.batch_execute(connection::ENGLISH);
    conn.batch_execute(ONE_AT_A_TIME).map_err(|error| match error.to_string() {
        said if said.starts_with(LOCK_TIMEOUT) => {
            OpenError::Migration("another hive has been migrating it for a minute; try again".to_owned())
        }
        said => OpenError::Migration(said),
    })?;
    let pending = migrate::pending(&mut conn, source)?;
    let mut migrated = Migrated { is_new: pending.is_new, ..Migrated::default() };
    conn.batch_execute(BRIEFLY).map_err(|error| OpenError::Migration(error.to_string()))?;
    for migration in &pending.migrations {
        migrated
            .applied
            .push(migrate::timed(migration.as_ref(), || patiently(&mut conn, migration.as_ref(), tries))?);
    }
    Ok(migrated)
}

/// Runs a migration, again when others hold what it needs.
fn patiently(
    conn: &mut Blocking,
    migration: &dyn Migration<Pg>,
    tries: u32,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    for tried in 1..=tries {
        if tried > 1 {
            std::thread::sleep(PAUSE);
        }
        match conn.run_migration(migration) {
            Ok(_) => return Ok(()),
            Err(error) if error.to_string().contains(LOCK_TIMEOUT) => {
                tracing::info!(migration = %migration.name(), tried, "a migration waits for others to let go");
            }
            Err(error) => return Err(error),
        }
    }
    Err(format!("others held what it changes, {tries} times in a row: nothing of it was done; try again")
        .into())
}

/// What time it is for the server.
pub(crate) fn time(conn: &mut Conn) -> Result<Timestamp, Failure> {
    let (now,): (i64,) = conn.get_result(ServerTime {})?;
    Ok(Timestamp::from_micros(now))
}

statement! {
    /// Microseconds since 1970.
    ServerTime {} -> (BigInt,) =
    ("SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
     "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
}
