//! Old events are removed, as far as the last checkpoint covers them.

use diesel::sql_types::{BigInt, Nullable};
use domain::Timestamp;

use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, before: Timestamp, limit: u32) -> Result<u32, Failure> {
    let covered = Covered { limit: i64::from(limit), before: before.as_micros() };
    let (last,): (Option<i64>,) = batch.conn.get_result(covered)?;
    let Some(last) = last else { return Ok(0) };
    let count = batch.conn.execute(DeleteEvents { last })?;
    batch.conn.execute(RaiseEventsFloor { last })?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

statement! {
    /// The last of the first events that are old and covered. Times grow with `seq`, so these are a beginning of
    /// the log.
    Covered { limit: i64, before: i64 } -> (Nullable<BigInt>,) =
    "SELECT max(seq) FROM (SELECT seq, at FROM events WHERE seq <= (SELECT max(seq) FROM checkpoints) \
     ORDER BY seq LIMIT "; limit, ") AS covered WHERE at < "; before
}

statement! {
    /// A beginning of the log.
    DeleteEvents { last: i64 } = "DELETE FROM events WHERE seq <= "; last
}

statement! {
    /// The log goes on after this one, also when nothing is left of it.
    RaiseEventsFloor { last: i64 } =
    "UPDATE hive SET events_floor = ", ("max", "greatest"), "(events_floor, "; last, ") WHERE id = 1"
}
