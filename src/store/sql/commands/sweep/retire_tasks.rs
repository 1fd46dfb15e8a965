//! Terminal tasks past their retention are removed with all that belongs to them, and so are removed agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::sql_types::{BigInt, SmallInt};
use domain::{EventKind, TaskState, TenantId, Timestamp};

use crate::sql::batch::{Batch, Fact};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// Chunks of output after which a round removes no further task, so that writes do not wait behind gigabytes: 32 MiB.
const OUTPUT_CHUNKS_MAX: i64 = 512;

/// What stands before and after the ids of a statement.
const AMONG: (&str, &str) = (" IN (SELECT value FROM json_each('[' || ", " = ANY (('{' || ");
const AMONG_END: (&str, &str) = (" || ']'))", " || '}')::bigint[])");

/// How many tasks of one tenant were removed.
#[derive(Debug, Default)]
struct Retired {
    completed: u32,
    failed: u32,
    canceled: u32,
}

pub(super) fn apply(batch: &mut Batch<'_>, before: Timestamp, limit: u32) -> Result<u32, Failure> {
    let finished = Finished { before: before.as_micros(), limit: i64::from(limit) };
    let rows: Vec<(i64, i64, i16, i64)> = batch.conn.load(finished)?;
    let mut by_tenant: BTreeMap<i64, Retired> = BTreeMap::new();
    let (mut count, mut output_chunks, mut highest): (u32, i64, Option<i64>) = (0, 0, None);
    let mut ids = String::new();
    for (id, tenant, state, chunks) in &rows {
        if output_chunks >= OUTPUT_CHUNKS_MAX {
            break;
        }
        output_chunks = output_chunks.saturating_add(*chunks);
        if !ids.is_empty() {
            ids.push(',');
        }
        ids.push_str(&id.to_string());
        highest = highest.max(Some(*id));
        let retired = by_tenant.entry(*tenant).or_default();
        match TaskState::from_code(*state) {
            Some(TaskState::Completed) => retired.completed += 1,
            Some(TaskState::Failed) => retired.failed += 1,
            Some(TaskState::Canceled) => retired.canceled += 1,
            Some(TaskState::Scheduled | TaskState::Queued | TaskState::Working) | None => {}
        }
        count = count.saturating_add(1);
    }
    if count > 0 {
        remove(batch, &ids)?;
    }
    if let Some(highest) = highest {
        batch.conn.execute(RaiseIdsFloor { id: highest })?;
    }
    for (tenant, retired) in by_tenant {
        let data = Data::new()
            .value("completed", retired.completed)
            .value("failed", retired.failed)
            .value("canceled", retired.canceled)
            .finish(None);
        batch.tell(Fact {
            kind: EventKind::SystemTasksRetired,
            tenant: TenantId(tenant),
            agent: None,
            correlation_id: Arc::from(""),
            data,
        })?;
    }
    retire_agents(batch, before, limit)?;
    Ok(count)
}

/// Removes tasks, named by ids with commas between them: a statement a table, however many they are.
fn remove(batch: &mut Batch<'_>, ids: &str) -> Result<(), Failure> {
    batch.conn.execute(DeleteOutput { ids })?;
    batch.conn.execute(DeleteAttempts { ids })?;
    batch.conn.execute(DeleteSpecs { ids })?;
    batch.conn.execute(DeleteUniques { ids })?;
    batch.conn.execute(DeleteTasks { ids })?;
    Ok(())
}

fn retire_agents(batch: &mut Batch<'_>, before: Timestamp, limit: u32) -> Result<(), Failure> {
    let removed = RemovedAgents { before: before.as_micros(), limit: i64::from(limit) };
    for (id,) in batch.conn.load::<(i64,), _>(removed)? {
        batch.conn.execute(RaiseIdsFloor { id })?;
        batch.conn.execute(DeleteAgent { id })?;
    }
    Ok(())
}

statement! {
    /// Their keys, but those that stay longer than their tasks.
    DeleteUniques<'a> { ids: &'a str } =
    "DELETE FROM unique_keys WHERE task_id", AMONG; ids, AMONG_END, " AND expires_at IS NULL"
}

statement! {
    /// Terminal tasks that ended before a moment, longest ended first, and how many chunks of output they have.
    Finished { before: i64, limit: i64 } -> (BigInt, BigInt, SmallInt, BigInt) =
    "SELECT id, tenant_id, state, (SELECT count(*) FROM task_output o WHERE o.task_id = tasks.id) FROM tasks",
    (" INDEXED BY tasks_finished", ""), " WHERE state >= 3 AND finished_at < "; before,
    " ORDER BY finished_at, id LIMIT "; limit, ("", " FOR UPDATE SKIP LOCKED")
}

statement! {
    /// Agents that were removed before a moment and hold nothing: of a holder one may still ask what it was.
    RemovedAgents { before: i64, limit: i64 } -> (BigInt,) =
    "SELECT id FROM agents WHERE removed_at IS NOT NULL AND removed_at < "; before,
    " AND id NOT IN (SELECT agent_id FROM tasks", (" INDEXED BY tasks_leased", ""),
    " WHERE state = 2 AND agent_id IS NOT NULL) LIMIT "; limit
}

statement! {
    /// No id below comes again.
    RaiseIdsFloor { id: i64 } =
    "UPDATE hive SET ids_floor = ", ("max", "greatest"), "(ids_floor, "; id, ") WHERE id = 1"
}

statement! {
    /// All output of tasks.
    DeleteOutput<'a> { ids: &'a str } = "DELETE FROM task_output WHERE task_id", AMONG; ids, AMONG_END
}

statement! {
    /// All attempts of tasks.
    DeleteAttempts<'a> { ids: &'a str } = "DELETE FROM attempts WHERE task_id", AMONG; ids, AMONG_END
}

statement! {
    /// What was asked for.
    DeleteSpecs<'a> { ids: &'a str } = "DELETE FROM task_specs WHERE task_id", AMONG; ids, AMONG_END
}

statement! {
    /// The tasks.
    DeleteTasks<'a> { ids: &'a str } = "DELETE FROM tasks WHERE id", AMONG; ids, AMONG_END
}

statement! {
    /// An agent.
    DeleteAgent { id: i64 } = "DELETE FROM agents WHERE id = "; id
}
