//! Prolongs the leases that would expire soon after a start.

use crate::command::GraceLeases;
use crate::outcome::Graced;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, command: GraceLeases) -> Result<Graced, Failure> {
    let until = batch.now.plus_ms(command.ttl_ms).as_micros();
    // Caps stay as they are: a deadline that passed meanwhile is named when the grace is over.
    let count = batch.conn.execute(ProlongLeases { until, below: until })?;
    Ok(Graced { count: u32::try_from(count).unwrap_or(u32::MAX) })
}

statement! {
    /// Every working attempt whose lease ends before `below`.
    ProlongLeases { until: i64, below: i64 } =
    "UPDATE tasks SET lease_expires_at = "; until, " WHERE state = 2 AND lease_expires_at < "; below
}
