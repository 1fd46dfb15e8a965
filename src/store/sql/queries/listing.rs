//! Lists of tasks, newest first by id.
//!
//! Each lane and state (for queued tasks: lane and priority) is a run of ids that an index holds in order. A list is
//! the merge of such runs, read in small blocks, so that it costs what it shows and not what there is.

use std::collections::{BinaryHeap, VecDeque};

use diesel::sql_types::BigInt;
use domain::limits::PRIORITY_MAX;
use domain::{LaneId, TaskId, TaskState, TenantId};

use super::{Session, tasks};
use crate::record::{TaskFilter, TaskPage, TaskRecord};
use crate::sql::failure::Failure;
use crate::sql::lanes;
use crate::sql::statement::statement;
use crate::sql::task_row::TaskRow;

/// Most tasks that one call looks at; then it answers what it found and where to go on.
const SCANNED_MAX: usize = 10_000;
/// Ids that are read at a time from one run.
const BLOCK: i64 = 16;

/// Where a run of ids comes from.
#[derive(Debug, Clone, Copy)]
enum Run {
    Tenant(TenantId),
    Listed(LaneId, TaskState),
    Queued(LaneId, u8),
}

impl Run {
    /// The next ids below `before`.
    fn read(self, session: &mut Session<'_>, before: i64) -> Result<VecDeque<i64>, Failure> {
        let conn = &mut *session.conn;
        let ids: Vec<(i64,)> = match self {
            Self::Tenant(tenant) => conn.load(TenantIds { tenant: tenant.0, before, limit: BLOCK })?,
            Self::Listed(lane, state) => {
                conn.load(ListedIds { lane: lane.0, state: state.code(), before, limit: BLOCK })?
            }
            Self::Queued(lane, priority) => {
                conn.load(QueuedIds { lane: lane.0, priority: i16::from(priority), before, limit: BLOCK })?
            }
        };
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }
}

/// Several runs as one, newest first.
struct Merge {
    /// The newest unread id of each run that is not at its end, and which run it is.
    heads: BinaryHeap<(i64, usize)>,
    runs: Vec<(Run, VecDeque<i64>)>,
}

impl Merge {
    fn new(session: &mut Session<'_>, runs: Vec<Run>, before: i64) -> Result<Self, Failure> {
        let mut merge = Self { heads: BinaryHeap::new(), runs: Vec::with_capacity(runs.len()) };
        for run in runs {
            let mut ids = run.read(session, before)?;
            if let Some(head) = ids.pop_front() {
                merge.heads.push((head, merge.runs.len()));
                merge.runs.push((run, ids));
            }
        }
        Ok(merge)
    }

    fn next(&mut self, session: &mut Session<'_>) -> Result<Option<i64>, Failure> {
        let Some((id, index)) = self.heads.pop() else { return Ok(None) };
        if let Some((run, ids)) = self.runs.get_mut(index) {
            if ids.is_empty() {
                *ids = run.read(session, id)?;
            }
            if let Some(head) = ids.pop_front() {
                self.heads.push((head, index));
            }
        }
        Ok(Some(id))
    }

    fn is_at_end(&self) -> bool {
        self.heads.is_empty()
    }
}

/// A page of tasks.
pub(crate) fn page(
    session: &mut Session<'_>,
    tenant: TenantId,
    filter: &TaskFilter,
    before: Option<TaskId>,
    limit: u32,
) -> Result<TaskPage, Failure> {
    let runs = runs(session, tenant, filter)?;
    let mut merge = Merge::new(session, runs, before.map_or(i64::MAX, TaskId::raw))?;
    let mut items = Vec::new();
    let mut last = None;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    for _ in 0..SCANNED_MAX {
        if items.len() >= limit {
            break;
        }
        let Some(id) = merge.next(session)? else { break };
        last = Some(TaskId::from_raw(id));
        let read = looked_up(session, TaskId::from_raw(id), filter);
        items.extend(session.quarantine.admit(id, read)?.flatten());
    }
    Ok(TaskPage { items, next_before: last.filter(|_| !merge.is_at_end()) })
}

/// The runs that hold every task the filter may show, and few others.
fn runs(session: &mut Session<'_>, tenant: TenantId, filter: &TaskFilter) -> Result<Vec<Run>, Failure> {
    if filter.state.is_none() && filter.queue.is_none() {
        return Ok(vec![Run::Tenant(tenant)]);
    }
    let states = filter.state.map_or_else(|| TaskState::ALL.to_vec(), |state| vec![state]);
    let mut runs = Vec::new();
    for (lane, spec) in lanes::all(session.conn)? {
        if spec.tenant != tenant || filter.queue.as_ref().is_some_and(|queue| *queue != spec.queue) {
            continue;
        }
        for state in &states {
            if *state == TaskState::Queued {
                runs.extend((0..=PRIORITY_MAX).map(|priority| Run::Queued(lane, priority)));
            } else {
                runs.push(Run::Listed(lane, *state));
            }
        }
    }
    Ok(runs)
}

/// The record of a task, if it is there and passes the filter.
fn looked_up(
    session: &mut Session<'_>,
    id: TaskId,
    filter: &TaskFilter,
) -> Result<Option<TaskRecord>, Failure> {
    let Some(task) = TaskRow::load(session.conn, id)? else { return Ok(None) };
    shown(session, &task, filter)
}

/// The record of a task that passes the filter.
fn shown(
    session: &mut Session<'_>,
    task: &TaskRow,
    filter: &TaskFilter,
) -> Result<Option<TaskRecord>, Failure> {
    if filter.agent.is_some_and(|agent| task.agent != Some(agent)) {
        return Ok(None);
    }
    let record = tasks::record(session, task)?;
    let passes = filter.kind.as_ref().is_none_or(|kind| record.kind.as_ref() == Some(kind))
        && filter.labels.iter().all(|(key, value)| record.labels.get(key) == Some(value))
        && filter.created_after.is_none_or(|after| record.created_at > after)
        && filter.created_before.is_none_or(|before| record.created_at < before);
    Ok(passes.then_some(record))
}

statement! {
    /// A tenant's tasks.
    TenantIds { tenant: i64, before: i64, limit: i64 } -> (BigInt,) =
    "SELECT id FROM tasks WHERE tenant_id = "; tenant, " AND id < "; before, " ORDER BY id DESC LIMIT "; limit
}

statement! {
    /// A lane's tasks in one state other than queued.
    ListedIds { lane: i64, state: i16, before: i64, limit: i64 } -> (BigInt,) =
    "SELECT id FROM tasks", (" INDEXED BY tasks_listed", ""), " WHERE state <> 1 AND lane_id = "; lane, " AND state = "; state,
    " AND id < "; before, " ORDER BY id DESC LIMIT "; limit
}

statement! {
    /// A lane's queued tasks of one priority.
    QueuedIds { lane: i64, priority: i16, before: i64, limit: i64 } -> (BigInt,) =
    "SELECT id FROM tasks", (" INDEXED BY tasks_queued", ""), " WHERE state = 1 AND lane_id = "; lane,
    " AND priority = "; priority, " AND id < "; before, " ORDER BY id DESC LIMIT "; limit
}
