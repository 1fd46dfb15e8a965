//! Keys past their time are removed.

use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, limit: u32) -> Result<u32, Failure> {
    let (now, limit) = (batch.now.as_micros(), i64::from(limit));
    let count = batch.conn.execute(DeleteKeys { now, limit })?;
    // Each kind has the whole limit, so that a full round of one tells that there may be more of it.
    let unique_count = batch.conn.execute(DeleteUniqueKeys { now, limit })?;
    Ok(u32::try_from(count.max(unique_count)).unwrap_or(u32::MAX))
}

statement! {
    /// Keys whose time is over, longest over first; of equals the same ones on every database.
    DeleteKeys { now: i64, limit: i64 } =
    "DELETE FROM task_keys WHERE (tenant_id, hash, kind) IN (SELECT tenant_id, hash, kind FROM task_keys \
     WHERE expires_at <= "; now, " ORDER BY expires_at, tenant_id, hash, kind LIMIT "; limit, ")"
}

statement! {
    /// Unique keys whose time is over, in the same way.
    DeleteUniqueKeys { now: i64, limit: i64 } =
    "DELETE FROM unique_keys WHERE (tenant_id, key, since_seq) IN (SELECT tenant_id, key, since_seq FROM unique_keys \
     WHERE expires_at IS NOT NULL AND expires_at <= "; now, " ORDER BY expires_at, tenant_id, key, since_seq LIMIT "; limit, ")"
}
