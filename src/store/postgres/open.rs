//! Brings a server's database to the schema that this program knows.

use diesel::sql_types::BigInt;
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use domain::Timestamp;

use super::connection;
use crate::error::OpenError;
use crate::open::migrate;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// Every migration this program knows.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Held while migrations run: hives that start together run them one after the other.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_lock(hashtext('hive migrations ' || current_schema()))";

/// Runs what is pending; says whether the database was empty.
pub(crate) fn migrate(url: &str) -> Result<bool, OpenError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| OpenError::Database(error.to_string()))?;
    let conn = runtime.block_on(connection::connect(url, "hive migrations"));
    let conn = conn.map_err(|error| OpenError::Database(error.to_string()))?;
    // The wrapper waits on the runtime that it finds itself in.
    let _entered = runtime.enter();
    let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
    let locked = diesel::connection::SimpleConnection::batch_execute(&mut conn, ONE_AT_A_TIME);
    locked.map_err(|error| OpenError::Migration(error.to_string()))?;
    let pending = migrate::pending(&mut conn, MIGRATIONS)?;
    migrate::run_all(&mut conn, &pending.migrations)?;
    Ok(pending.is_new)
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
