//! Where the log of events stands.

use diesel::sql_types::BigInt;
use domain::Timestamp;

use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// The last `seq` and the latest time of the log.
pub(crate) fn head(conn: &mut Conn) -> Result<(i64, Timestamp), Failure> {
    let (seq, at): (i64, i64) = conn.get_result(LogHead {})?;
    Ok((seq, Timestamp::from_micros(at)))
}

statement! {
    /// The last `seq`, also when retention has emptied the log, and its time.
    LogHead {} -> (BigInt, BigInt) =
    ("SELECT max", "SELECT greatest"),
    "(coalesce((SELECT max(seq) FROM events), 0), events_floor), \
     coalesce((SELECT at FROM events ORDER BY seq DESC LIMIT 1), 0) FROM hive WHERE id = 1"
}
