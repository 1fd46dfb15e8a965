//! The log, from an offset on.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use domain::{Event, TaskId, TenantId};

use super::{Session, tasks};
use crate::record::EventRecord;
use crate::sql::event_row::{EventAt, EventsAfter, LinkedEvent, RawEvent, TenantEventsAfter};
use crate::sql::failure::Failure;
use crate::sql::log;
use crate::sql::statement::statement;

/// Most events of one task that are followed back; far more than any task has.
const LINKS_MAX: usize = 10_000;

/// Events of a tenant after `after`, in order; of one task, when it is named.
pub(crate) fn records(
    session: &mut Session<'_>,
    tenant: TenantId,
    after: i64,
    limit: u32,
    task: Option<TaskId>,
) -> Result<Vec<EventRecord>, Failure> {
    let events = match task {
        Some(task) => of_task(session, tenant, task, after, limit)?,
        None => {
            let rows: Vec<RawEvent> =
                session.conn.load(TenantEventsAfter { tenant: tenant.0, after, limit: i64::from(limit) })?;
            understood(rows)?
        }
    };
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let queue = event.lane.map(|lane| session.lane(lane)).transpose()?;
        records.push(EventRecord { event, queue: queue.map(|lane| lane.queue.clone()) });
    }
    Ok(records)
}

/// Events after `after`, in order, whosever they are.
pub(crate) fn raw(session: &mut Session<'_>, after: i64, limit: u32) -> Result<Vec<Event>, Failure> {
    let rows: Vec<RawEvent> = session.conn.load(EventsAfter { after, limit: i64::from(limit) })?;
    understood(rows)
}

fn understood(rows: Vec<RawEvent>) -> Result<Vec<Event>, Failure> {
    rows.into_iter().map(|row| LinkedEvent::try_from(row).map(|linked| linked.event)).collect()
}

/// Follows a task's events back from its newest; each names the one before, so that no index is needed. What
/// retention has removed ends the way.
fn of_task(
    session: &mut Session<'_>,
    tenant: TenantId,
    id: TaskId,
    after: i64,
    limit: u32,
) -> Result<Vec<Event>, Failure> {
    let Some(task) = tasks::row(session, tenant, id)? else { return Ok(Vec::new()) };
    let mut events = Vec::new();
    let mut next = task.last_event_seq;
    while next > after && events.len() < LINKS_MAX {
        let Some(row) = session.conn.get_result::<RawEvent, _>(EventAt { seq: next }).optional()? else {
            break;
        };
        let LinkedEvent { event, task_prior_seq } = row.try_into()?;
        events.push(event);
        next = task_prior_seq.unwrap_or(0);
    }
    events.reverse();
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(events)
}

/// The first and the last `seq` that are there; for an empty log the first is one above the last.
pub(crate) fn range(session: &mut Session<'_>) -> Result<(i64, i64), Failure> {
    let (last, _) = log::head(session.conn)?;
    let (first,): (Option<i64>,) = session.conn.get_result(FirstSeq {})?;
    Ok((first.unwrap_or_else(|| last.saturating_add(1)), last))
}

statement! {
    /// The first event.
    FirstSeq {} -> (Nullable<BigInt>,) = "SELECT min(seq) FROM events"
}
