//! Which hive may write under a node's number: one incarnation at a time.

use diesel::result::DatabaseErrorKind;
use diesel::sql_types::BigInt;

use super::session::PgSession;
use crate::error::OpenError;
use crate::sql::conn::Conn;
use crate::sql::statement::statement;

/// Which node writes, and which start of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incarnation {
    /// The node's number.
    pub number: u16,
    /// What tells this start of the node from all others.
    pub incarnation: i64,
}

/// Holds a node's number for this process as long as it lives: its connection holds a lock that the server lets go of
/// when the connection ends, however it ends. Should the lock be lost, the incarnation keeps the loser from writing.
pub struct NodeLock {
    incarnation: Incarnation,
    _session: Box<PgSession>,
}

impl std::fmt::Debug for NodeLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeLock").field("number", &self.incarnation.number).finish_non_exhaustive()
    }
}

impl NodeLock {
    /// Takes a number, with a new incarnation, on a connection that it keeps; refused while another hive holds it.
    pub(crate) fn take(conn: Conn, number: u16) -> Result<Self, OpenError> {
        let failed = |error: diesel::result::Error| OpenError::Database(error.to_string());
        let Conn::Postgres(mut session) = conn else {
            return Err(OpenError::Database("this is no connection to PostgreSQL".to_owned()));
        };
        let node = i16::try_from(number).unwrap_or(i16::MAX);
        // It waits as long as for any lock: a hive that has just ended, however it ended, is still there for a moment.
        match session.get_result::<(bool,), _>(HoldNumber { number: i32::from(node) }) {
            Ok(_) => {}
            Err(diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, _)) => {
                return Err(OpenError::NodeInUse(number));
            }
            Err(error) => return Err(failed(error)),
        }
        let (incarnation,) =
            session.get_result::<(i64,), _>(BeginIncarnation { number: node }).map_err(failed)?;
        Ok(Self { incarnation: Incarnation { number, incarnation }, _session: session })
    }

    /// Who proves itself in each batch.
    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}

statement! {
    /// Waits until the number is ours. The first half of the lock's key names the schema that this hive lives in.
    HoldNumber { number: i32 } -> (diesel::sql_types::Bool,) =
    "SELECT pg_advisory_lock(hashtext('hive node ' || current_schema()), "; number, ") IS NULL"
}

statement! {
    /// A new incarnation, in place of the one before, whose batches are refused from now on.
    BeginIncarnation { number: i16 } -> (BigInt,) =
    "INSERT INTO nodes (number, incarnation, started_at) VALUES ("; number,
    ", ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 17))::bit(64)::bigint, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
     ON CONFLICT (number) DO UPDATE SET incarnation = excluded.incarnation, started_at = excluded.started_at \
     RETURNING incarnation"
}
