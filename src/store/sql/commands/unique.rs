//! Keys that only one task may have: looked up and taken in the command's own transaction.
//!
//! Invariant: of the rows of a key only the newest may still hold, since it was written when the one before did not.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::{TaskId, TenantId, UniqueUntil};

use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sql::task_row::TaskRow;

/// The expiry of a key that stays for ever.
const NEVER: i64 = i64::MAX;

/// The task that has a key now.
pub(super) fn holder(batch: &mut Batch<'_>, tenant: TenantId, key: &str) -> Result<Option<TaskId>, Failure> {
    let newest = match batch.conn.gathering() {
        Some(session) => session.newest_of_key(tenant, key)?,
        None => {
            let load = NewestOfKey { tenant: tenant.0, key };
            batch.conn.peek::<(i64, Option<i64>), _>(load).optional()?
        }
    };
    let Some((task, expires_at)) = newest else { return Ok(None) };
    let task = TaskId::from_raw(task);
    let holds = match expires_at {
        Some(expires_at) => expires_at > batch.now.as_micros(),
        None => TaskRow::load(batch.conn, task)?.is_some_and(|row| !row.state.is_terminal()),
    };
    Ok(holds.then_some(task))
}

/// Writes that a task has a key from the event `since_seq` on.
pub(super) fn take(
    batch: &mut Batch<'_>,
    (tenant, task): (TenantId, TaskId),
    key: &str,
    until: UniqueUntil,
    since_seq: i64,
) -> Result<(), Failure> {
    let expires_at = match until {
        UniqueUntil::Terminal => None,
        UniqueUntil::Forever => Some(NEVER),
        UniqueUntil::For(ms) => Some(batch.now.plus_ms(ms).as_micros()),
    };
    if let Some(session) = batch.conn.gathering() {
        session.take_key((tenant, key), task, since_seq, expires_at);
        return Ok(());
    }
    batch.conn.execute_aside(StoreUnique {
        tenant: tenant.0,
        key,
        since_seq,
        task: task.raw(),
        expires_at,
    })?;
    Ok(())
}

/// What stands between a terminal task and its key.
pub(super) enum Way {
    /// It has no key that it would have to take again.
    Free,
    /// It had this key until it ended, and nobody has it now.
    Retake(String),
    /// Another task has it now.
    Taken(TaskId),
}

/// Looks whether a terminal task may be put back.
pub(super) fn way_back(batch: &mut Batch<'_>, tenant: TenantId, task: TaskId) -> Result<Way, Failure> {
    let found = batch.conn.get_result::<(String, Option<i64>), _>(KeyOfTask { task: task.raw() });
    let Some((key, None)) = found.optional()? else { return Ok(Way::Free) };
    Ok(match holder(batch, tenant, &key)? {
        Some(other) => Way::Taken(other),
        None => Way::Retake(key),
    })
}

/// A task that was put back takes its key again.
pub(super) fn retake(
    batch: &mut Batch<'_>,
    (tenant, task): (TenantId, TaskId),
    key: &str,
    since_seq: i64,
) -> Result<(), Failure> {
    batch.conn.execute(ForgetUnique { task: task.raw() })?;
    take(batch, (tenant, task), key, UniqueUntil::Terminal, since_seq)
}

statement! {
    /// The newest row of a key.
    NewestOfKey<'a> { tenant: i64, key: &'a str } -> (BigInt, Nullable<BigInt>) =
    "SELECT task_id, expires_at FROM unique_keys WHERE tenant_id = "; tenant, " AND key = "; key,
    " ORDER BY since_seq DESC LIMIT 1"
}

statement! {
    /// The key of a task.
    KeyOfTask { task: i64 } -> (Text, Nullable<BigInt>) =
    "SELECT key, expires_at FROM unique_keys WHERE task_id = "; task
}

statement! {
    /// A task has a key.
    StoreUnique<'a> { tenant: i64, key: &'a str, since_seq: i64, task: i64, expires_at: Option<i64> } =
    "INSERT INTO unique_keys (tenant_id, key, since_seq, task_id, expires_at) VALUES (";
    tenant, ", "; key, ", "; since_seq, ", "; task, ", "; expires_at, ")"
}

statement! {
    /// A task's row goes.
    ForgetUnique { task: i64 } = "DELETE FROM unique_keys WHERE task_id = "; task
}
