//! Gives the leases that would expire soon after a start their time, and those that would last longer than a lease can: the
//! clock was ahead when they were given.

use crate::command::GraceLeases;
use crate::outcome::Graced;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, command: GraceLeases) -> Result<Graced, Failure> {
    let until = batch.now.plus_ms(command.ttl_ms).as_micros();
    // Caps stay as they are: a deadline that passed meanwhile is named when the grace is over.
    let prolonged = batch.conn.execute(ProlongLeases { until, below: until })?;
    let (now, ttl) = (batch.now.as_micros(), i64::try_from(command.ttl_ms).unwrap_or(i64::MAX));
    let count = prolonged.saturating_add(batch.conn.execute(CutLeases { now, ttl })?);
    Ok(Graced { count: u32::try_from(count).unwrap_or(u32::MAX) })
}

statement! {
    /// Every working attempt whose lease ends before `below`.
    ProlongLeases { until: i64, below: i64 } =
    "UPDATE tasks SET lease_expires_at = "; until, " WHERE state = 2 AND lease_expires_at < "; below
}

statement! {
    /// Every working attempt whose lease lasts longer from now on than its own time, or the usual one where that is more;
    /// but for those that should end, whose time is the grace of their cancel.
    CutLeases { now: i64, ttl: i64 } =
    "UPDATE tasks SET lease_expires_at = "; now,
    (" + 1000 * max(", " + 1000 * greatest("), "coalesce(lease_ttl_ms, "; ttl, "), "; ttl,
    ") WHERE state = 2 AND cancel_requested_at IS NULL AND lease_expires_at > "; now,
    (" + 1000 * max(", " + 1000 * greatest("), "coalesce(lease_ttl_ms, "; ttl, "), "; ttl, ")"
}
