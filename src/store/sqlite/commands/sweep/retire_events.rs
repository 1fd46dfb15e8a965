//! Old events are removed, as far as the last checkpoint covers them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use domain::Timestamp;

use crate::sqlite::batch::Batch;
use crate::sqlite::failure::Failure;
use crate::sqlite::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, before: Timestamp, limit: u32) -> Result<u32, Failure> {
    let covered = Covered { limit: i64::from(limit), before: before.as_micros() };
    let (last,): (Option<i64>,) = covered.get_result(batch.conn)?;
    let Some(last) = last else { return Ok(0) };
    let count = DeleteEvents { last }.execute(batch.conn)?;
    RaiseEventsFloor { last }.execute(batch.conn)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

statement! {
    /// The last of the first events that are old and covered. Times grow with `seq`, so these are a beginning of
    /// the log.
    Covered { limit: i64, before: i64 } -> (Nullable<BigInt>,) =
    "SELECT max(seq) FROM (SELECT seq, at FROM events WHERE seq <= (SELECT max(seq) FROM checkpoints) \
     ORDER BY seq LIMIT "; limit, ") WHERE at < "; before
}

statement! {
    /// A beginning of the log.
    DeleteEvents { last: i64 } = "DELETE FROM events WHERE seq <= "; last
}

statement! {
    /// The log goes on after this one, also when nothing is left of it.
    RaiseEventsFloor { last: i64 } =
    "UPDATE hive SET events_floor = max(events_floor, "; last, ") WHERE id = 1"
}
