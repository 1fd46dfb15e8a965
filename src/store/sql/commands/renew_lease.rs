//! Renews a lease by its own time to live.

use domain::{TaskState, timeouts};

use super::may_report;
use crate::command::RenewLease;
use crate::outcome::Renewed;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::task_row::TaskRow;

pub(super) fn apply(batch: &mut Batch<'_>, command: &RenewLease) -> Result<Renewed, Failure> {
    let Some(mut task) = TaskRow::load(batch.conn, command.task)? else { return Ok(Renewed::NotFound) };
    if !may_report(batch, &task, command.attempt, command.reporter)? {
        return Ok(Renewed::NotFound);
    }
    if task.state != TaskState::Working || task.attempt != command.attempt {
        return Ok(Renewed::Stale);
    }
    let renewed = timeouts::earliest(Some(batch.now.plus_ms(task.lease_ttl_ms)), task.lease_cap_at);
    // The grace after a start may have given more, and that holds.
    let lease_expires_at = renewed.max(task.lease_expires_at).unwrap_or(batch.now);
    if Some(lease_expires_at) != task.lease_expires_at {
        task.lease_expires_at = Some(lease_expires_at);
        task.store_lease(batch.conn, lease_expires_at)?;
    }
    Ok(Renewed::Until { lease_expires_at, is_cancel_requested: task.cancel_requested_at.is_some() })
}
