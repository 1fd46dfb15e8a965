//! A PostgreSQL server, seen from outside the writer.

use diesel::sql_types::{BigInt, Integer};

use crate::error::OpenError;
use crate::place::aside;
use crate::postgres::connection::PgConn;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// What a server is, and where the log of the hive in its database stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Its major version, like 15.
    pub version: u32,
    /// The last event; 0 where no hive has been yet.
    pub last_seq: i64,
}

/// Looks at a server, on a connection that cannot write. Blocks for as long as a connection may take.
///
/// # Errors
/// [`OpenError::Database`] when it cannot be reached.
pub fn look(url: &str) -> Result<Server, OpenError> {
    aside(|| look_from_here(url))
}

fn look_from_here(url: &str) -> Result<Server, OpenError> {
    let mut conn = PgConn::reader(url).map(Conn::from).map_err(Failure::from)?;
    let (version, is_hive): (i32, i64) = conn.get_result(LoadVersion {}).map_err(Failure::from)?;
    let last_seq = if is_hive > 0 {
        let (seq,): (i64,) = conn.get_result(LoadHead {}).map_err(Failure::from)?;
        seq
    } else {
        0
    };
    Ok(Server { version: u32::try_from(version / 10_000).unwrap_or(0), last_seq })
}

statement! {
    /// The server's version as a number, and whether a hive's tables are there.
    LoadVersion {} -> (Integer, BigInt) =
    "SELECT current_setting('server_version_num')::integer, \
     (SELECT count(*) FROM pg_class WHERE oid = to_regclass('log_head'))"
}

statement! {
    /// The last event.
    LoadHead {} -> (BigInt,) = "SELECT seq FROM log_head WHERE id = 1"
}
