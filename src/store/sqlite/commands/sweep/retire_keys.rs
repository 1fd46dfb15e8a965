//! Keys past their time are removed.

use diesel::prelude::*;

use crate::sqlite::batch::Batch;
use crate::sqlite::failure::Failure;
use crate::sqlite::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, limit: u32) -> Result<u32, Failure> {
    let count = DeleteKeys { now: batch.now.as_micros(), limit: i64::from(limit) }.execute(batch.conn)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

statement! {
    /// Keys whose time is over, longest over first.
    DeleteKeys { now: i64, limit: i64 } =
    "DELETE FROM task_keys WHERE (tenant_id, hash, kind) IN (SELECT tenant_id, hash, kind FROM task_keys \
     WHERE expires_at <= "; now, " ORDER BY expires_at LIMIT "; limit, ")"
}
