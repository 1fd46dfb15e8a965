//! Takes heads of one lane and priority for an agent.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable, Text};

use crate::command::ClaimTasks;
use crate::outcome::ClaimedTask;
use crate::postgres::rows::Looked;
use crate::sql::agent_row;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::moves::{self, Start};
use crate::sql::spec_row::{RawSpec, Spec, SpecSql, spec_columns};
use crate::sql::statement::statement;
use crate::sql::task_row::{RawTask, TaskRow, TaskSql, task_columns};
use domain::{LaneId, TaskId, TaskState};

/// Heads that are read at a time.
const BLOCK: u32 = 64;
/// Inputs that one claim brings at most, beyond the last one: 8 MiB. The agent's next claim goes on.
const INPUT_BYTES_MAX: usize = 8 << 20;
/// Heads that are passed over in one claim, beside those that are known not to be understood: those that have waited too
/// long, of which the janitor makes dead letters.
const PASSED_OVER_MAX: u32 = 256;

pub(super) fn apply(batch: &mut Batch<'_>, command: &ClaimTasks) -> Result<Vec<ClaimedTask>, Failure> {
    let Ok(lane) = batch.lane_spec(command.lane) else { return Ok(Vec::new()) };
    if !agent_row::may_take(batch.conn, command.agent, &lane)? {
        return Ok(Vec::new());
    }
    let kept = still_working(batch, &command.behind)?;
    let most = usize::try_from(command.count).unwrap_or(usize::MAX).saturating_sub(kept);
    let (mut claimed, mut after, mut input_bytes, mut passed_over) = (Vec::new(), 0, 0, 0);
    let over_max = PASSED_OVER_MAX.saturating_add(batch.quarantine.allowance());
    while claimed.len() < most && input_bytes < INPUT_BYTES_MAX && passed_over < over_max {
        let left = u32::try_from(most - claimed.len()).unwrap_or(u32::MAX);
        let count = left.min(BLOCK);
        let heads = heads(batch, (command.lane, command.priority), after, count)?;
        let is_last = u32::try_from(heads.len()).unwrap_or(u32::MAX) < count;
        for (id, head) in heads {
            after = id;
            let Some((mut task, spec, input)) = batch.quarantine.admit(id, head)? else {
                passed_over += 1;
                continue;
            };
            if task.wait_deadline_at.is_some_and(|deadline| deadline <= batch.now) {
                passed_over += 1;
                continue;
            }
            let start = Start {
                agent: command.agent,
                timeouts: &spec.timeouts,
                lease_ttl_ms: command.lease_ttl_ms,
                correlation_id: &spec.correlation_id,
            };
            let before = task.clone();
            if moves::begin(batch, &mut task, &start)? {
                task.store_since(batch.conn, &before)?;
                input_bytes += input.as_ref().map_or(0, |input| input.len());
                claimed.push(moves::claimed(&task, spec, &lane, input)?);
            }
        }
        if is_last {
            break;
        }
    }
    Ok(claimed)
}

/// How many of these attempts have not ended.
fn still_working(batch: &mut Batch<'_>, attempts: &[(TaskId, u32)]) -> Result<usize, Failure> {
    let mut working = 0;
    for (task, attempt) in attempts {
        let at_work = match batch.conn.gathering() {
            Some(session) => session
                .task(*task)?
                .filter(|task| task.state == TaskState::Working)
                .map(|task| i32::try_from(task.attempt).unwrap_or(i32::MAX)),
            None => batch
                .conn
                .get_result::<(i32,), _>(AtWork { id: task.raw() })
                .optional()?
                .map(|(there,)| there),
        };
        working += usize::from(at_work == Some(i32::try_from(*attempt).unwrap_or(i32::MAX)));
    }
    Ok(working)
}

/// At most `count` of the oldest queued tasks of one lane and priority above an id.
fn heads(
    batch: &mut Batch<'_>,
    (lane, priority): (LaneId, u8),
    after: i64,
    count: u32,
) -> Result<Vec<Looked>, Failure> {
    if let Some(session) = batch.conn.gathering() {
        return session.heads((lane, priority), after, usize::try_from(count).unwrap_or(usize::MAX));
    }
    let heads = Heads { lane: lane.0, priority: i16::from(priority), after, count: i64::from(count) };
    let rows: Vec<(RawTask, RawSpec, Option<String>)> = batch.conn.load(heads)?;
    let head = |(task, spec, input): (RawTask, RawSpec, Option<String>)| {
        (
            task.id(),
            TaskRow::try_from(task).and_then(|task| Ok((task, Spec::try_from(spec)?, understood(input)?))),
        )
    };
    Ok(rows.into_iter().map(head).collect())
}

/// An input that is still JSON, as it was when it came: whoever is handed it reads it together with others.
pub(crate) fn understood(input: Option<String>) -> Result<Option<Arc<str>>, Failure> {
    let Some(input) = input else { return Ok(None) };
    match serde_json::from_str::<serde::de::IgnoredAny>(&input) {
        Ok(_) => Ok(Some(Arc::from(input))),
        Err(error) => Err(Failure::corrupt("input", error.to_string())),
    }
}

statement! {
    /// The present attempt of a task that works.
    AtWork { id: i64 } -> (Integer,) = "SELECT t.attempt FROM tasks t WHERE t.state = 2 AND t.id = "; id
}

statement! {
    /// The oldest queued tasks of one lane and priority above an id, with what their agent needs.
    Heads { lane: i64, priority: i16, after: i64, count: i64 } -> (
        TaskSql, SpecSql, Nullable<Text>,
    ) =
    concat!("SELECT ", task_columns!(), ", ", spec_columns!(), ", s.input FROM tasks t"), (" INDEXED BY tasks_queued CROSS", ""),
    " JOIN task_specs s ON s.task_id = t.id WHERE t.state = 1 AND t.lane_id = "; lane,
    " AND t.priority = "; priority,
    " AND t.id > "; after,
    " ORDER BY t.id LIMIT "; count
}
