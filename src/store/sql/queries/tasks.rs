//! One task and all that belongs to it.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use domain::{AgentId, LaneId, TaskId, TaskState, TenantId, Timestamp};

use super::Session;
use crate::record::{AttemptRecord, LeaseRecord, OutputChunk, TaskDetail, TaskRecord};
use crate::sql::attempt_row::RawAttempt;
use crate::sql::columns::{count, count_column, span};
use crate::sql::failure::Failure;
use crate::sql::records;
use crate::sql::schema::{attempts, task_output};
use crate::sql::statement::statement;
use crate::sql::task_row::TaskRow;

/// A tenant's task.
pub(crate) fn row(
    session: &mut Session<'_>,
    tenant: TenantId,
    id: TaskId,
) -> Result<Option<TaskRow>, Failure> {
    Ok(TaskRow::load(session.conn, id)?.filter(|task| task.tenant == tenant))
}

/// A task as it stands, from its row.
pub(crate) fn record(session: &mut Session<'_>, task: &TaskRow) -> Result<TaskRecord, Failure> {
    let lane = session.lane(task.lane)?;
    records::task(session.conn, task, &lane)
}

/// A task with its input and result.
pub(crate) fn detail(
    session: &mut Session<'_>,
    tenant: TenantId,
    id: TaskId,
) -> Result<Option<TaskDetail>, Failure> {
    let Some(task) = row(session, tenant, id)? else { return Ok(None) };
    let record = record(session, &task)?;
    let (input,): (Option<String>,) = session.conn.get_result(LoadInput { task: id.raw() })?;
    let result = if task.state == TaskState::Completed {
        session
            .conn
            .get_result::<(Option<String>,), _>(LoadResult {
                task: id.raw(),
                attempt: count_column(task.attempt),
            })
            .optional()?
            .and_then(|(result,)| result)
    } else {
        None
    };
    Ok(Some(TaskDetail { record, input: input.map(Arc::from), result: result.map(Arc::from) }))
}

/// In which state a task is.
pub(crate) fn state(
    session: &mut Session<'_>,
    tenant: TenantId,
    id: TaskId,
) -> Result<Option<TaskState>, Failure> {
    Ok(row(session, tenant, id)?.map(|task| task.state))
}

/// A task's attempts below `before`, the latest first.
pub(crate) fn attempts(
    session: &mut Session<'_>,
    (tenant, id): (TenantId, TaskId),
    before: u32,
    limit: u32,
) -> Result<Option<Vec<AttemptRecord>>, Failure> {
    use attempts as a;
    let Some(task) = row(session, tenant, id)? else { return Ok(None) };
    let mut records = Vec::new();
    if task.state == TaskState::Working && task.attempt < before && limit > 0 {
        records.push(AttemptRecord {
            attempt: task.attempt,
            agent: task.agent,
            started_at: task.started_at.unwrap_or_default(),
            ended_at: None,
            outcome: None,
            error: None,
            usage: None,
            workspace: None,
        });
    }
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(records.len());
    let rows: Vec<RawAttempt> = session.conn.load(
        a::table
            .filter(a::task_id.eq(id.raw()))
            .filter(a::attempt.lt(count_column(before)))
            .order(a::attempt.desc())
            .limit(i64::try_from(room).unwrap_or(i64::MAX))
            .select((
                a::attempt,
                a::agent_id,
                a::started_at,
                a::ended_at,
                a::outcome,
                a::error_kind,
                a::error_message,
                a::usage,
                a::workspace,
            )),
    )?;
    for raw in rows {
        records.push(raw.try_into()?);
    }
    Ok(Some(records))
}

/// A task's output after a piece, in order.
pub(crate) fn output(
    session: &mut Session<'_>,
    (tenant, id): (TenantId, TaskId),
    (attempt, chunk): (u32, u32),
    limit: u32,
) -> Result<Option<Vec<OutputChunk>>, Failure> {
    use task_output as o;
    if row(session, tenant, id)?.is_none() {
        return Ok(None);
    }
    let (attempt, chunk) = (count_column(attempt), count_column(chunk));
    let rows: Vec<(i32, i32, i64, String, bool)> = session.conn.load(
        o::table
            .filter(o::task_id.eq(id.raw()))
            .filter(o::attempt.ge(attempt))
            .filter(o::attempt.gt(attempt).or(o::chunk.gt(chunk)))
            .order((o::attempt, o::chunk))
            .limit(i64::from(limit))
            .select((o::attempt, o::chunk, o::at, o::text, o::is_truncated)),
    )?;
    let chunk = |(attempt, chunk, at, text, is_truncated)| OutputChunk {
        attempt: count(attempt),
        chunk: count(chunk),
        at: Timestamp::from_micros(at),
        text,
        is_truncated,
    };
    Ok(Some(rows.into_iter().map(chunk).collect()))
}

/// Every working attempt, first to expire first.
pub(crate) fn leases(session: &mut Session<'_>) -> Result<Vec<LeaseRecord>, Failure> {
    let rows: Vec<RawLease> = session.conn.load(Leases {})?;
    let mut leases = Vec::with_capacity(rows.len());
    for raw in rows {
        leases.extend(session.quarantine.admit(raw.id, LeaseRecord::try_from(raw))?);
    }
    Ok(leases)
}

/// The part of a working task's row that is its lease.
#[derive(Queryable)]
struct RawLease {
    id: i64,
    attempt: i32,
    lane_id: i64,
    agent_id: Option<i64>,
    started_at: Option<i64>,
    lease_expires_at: Option<i64>,
    lease_ttl_ms: Option<i64>,
    cancel_requested_at: Option<i64>,
}

impl TryFrom<RawLease> for LeaseRecord {
    type Error = Failure;

    fn try_from(raw: RawLease) -> Result<Self, Failure> {
        let task = TaskId::from_raw(raw.id);
        let held = raw.agent_id.zip(raw.started_at).zip(raw.lease_expires_at);
        let (Some(((agent, started_at), lease_expires_at)), Ok(attempt)) = (held, u32::try_from(raw.attempt))
        else {
            let why = "it works without a holder, a start or a lease, or has a negative count";
            return Err(Failure::corrupt(task.to_string(), why));
        };
        Ok(Self {
            task,
            attempt,
            lane: LaneId(raw.lane_id),
            agent: AgentId::from_raw(agent),
            started_at: Timestamp::from_micros(started_at),
            lease_expires_at: Timestamp::from_micros(lease_expires_at),
            lease_ttl_ms: raw.lease_ttl_ms.map_or(0, span),
            is_cancel_requested: raw.cancel_requested_at.is_some(),
        })
    }
}

statement! {
    /// The input of a task.
    LoadInput { task: i64 } -> (Nullable<Text>,) = "SELECT input FROM task_specs WHERE task_id = "; task
}

statement! {
    /// The result of an attempt.
    LoadResult { task: i64, attempt: i32 } -> (Nullable<Text>,) =
    "SELECT result FROM attempts WHERE task_id = "; task, " AND attempt = "; attempt
}

/// How many tasks of a lane are ahead of one, counted up to `max`.
pub(crate) fn ahead(
    session: &mut Session<'_>,
    lane: LaneId,
    (priority, id): (u8, TaskId),
    max: u32,
) -> Result<u32, Failure> {
    let (priority, max) = (i16::from(priority), i64::from(max));
    let query = Ahead { lane: lane.0, priority, before: id.raw(), max };
    let (ahead,): (i64,) = session.conn.get_result(query)?;
    Ok(u32::try_from(ahead).unwrap_or(u32::MAX))
}

statement! {
    /// Those of higher priority, then older ones of the same; never more rows than are counted.
    Ahead { lane: i64, priority: i16, before: i64, max: i64 } -> (BigInt,) =
    "SELECT count(*) FROM (SELECT id FROM tasks", (" INDEXED BY tasks_queued", ""), " WHERE state = 1 AND lane_id = "; lane,
    " AND priority > "; priority, " UNION ALL SELECT id FROM tasks", (" INDEXED BY tasks_queued", ""),
    " WHERE state = 1 AND lane_id = "; lane, " AND priority = "; priority, " AND id < "; before,
    " LIMIT "; max, ") AS ahead"
}

statement! {
    /// Every working attempt.
    Leases {} -> (
        BigInt, Integer, BigInt, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>,
        Nullable<BigInt>,
    ) =
    "SELECT id, attempt, lane_id, agent_id, started_at, lease_expires_at, lease_ttl_ms, cancel_requested_at FROM tasks",
    (" INDEXED BY tasks_leased", ""), " WHERE state = 2 ORDER BY lease_expires_at, id"
}
