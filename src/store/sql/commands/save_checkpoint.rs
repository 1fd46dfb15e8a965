//! Stores the feed's projection in place of the one before.

use crate::command::SaveCheckpoint;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, command: &SaveCheckpoint) -> Result<(), Failure> {
    batch.conn.execute(StoreCheckpoint {
        seq: command.seq,
        at: batch.now.as_micros(),
        projection: &command.projection,
    })?;
    Ok(())
}

statement! {
    /// The one row. An older projection does not replace a newer one.
    StoreCheckpoint<'a> { seq: i64, at: i64, projection: &'a [u8] } =
    "INSERT INTO checkpoints (id, seq, at, projection) VALUES (1, "; seq, ", "; at, ", "; projection,
    ") ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, at = excluded.at, projection = excluded.projection \
     WHERE excluded.seq >= checkpoints.seq"
}
