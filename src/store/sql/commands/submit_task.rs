//! Stores a task; with a free agent named, as working.

use std::sync::Arc;

use domain::{AcceptedTask, EventKind, LaneSpec, Move, OnConflict, TaskId, TaskState, Timestamp};

use super::keys::{self, Guarded, Known};
use super::unique;
use crate::command::SubmitTask;
use crate::outcome::Submitted;
use crate::sql::agent_row;
use crate::sql::attempt_row::LastEnded;
use crate::sql::batch::{Batch, Telling};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::lanes::Lane;
use crate::sql::moves::{self, Start};
use crate::sql::records;
use crate::sql::spec_row::Spec;
use crate::sql::task_row::TaskRow;

pub(super) fn apply(batch: &mut Batch<'_>, command: &SubmitTask) -> Result<Submitted, Failure> {
    let accepted = &command.task;
    if let Some(key) = &command.key {
        match keys::look_up(batch, accepted.tenant, Guarded::Submit, key)? {
            Known::Same(id) => {
                // Retention may have removed the task before its key; then the request is as new.
                if let Some(replayed) = replayed(batch, TaskId::from_raw(id))? {
                    return Ok(replayed);
                }
            }
            Known::Other => return Ok(Submitted::KeyMismatch),
            Known::New => {}
        }
    }
    if let Some(answer) = of_unique_key(batch, command)? {
        return Ok(answer);
    }
    if !command.has_room {
        return Ok(Submitted::QueueFull);
    }
    if !is_pinned_agent_there(batch, accepted)? {
        return Ok(Submitted::UnknownAgent);
    }
    let Some(lane) = batch.lane(accepted.asked.lane(accepted.tenant))? else {
        return Ok(Submitted::TooManyLanes);
    };
    store(batch, command, &lane)
}

/// The answer to a submit whose unique key another task has.
fn of_unique_key(batch: &mut Batch<'_>, command: &SubmitTask) -> Result<Option<Submitted>, Failure> {
    let accepted = &command.task;
    let Some(unique) = &accepted.asked.unique else { return Ok(None) };
    let Some(holder) = unique::holder(batch, accepted.tenant, &unique.key)? else { return Ok(None) };
    if holder == accepted.id {
        // The same command came before and its fate was not known to its sender.
        return replayed(batch, holder);
    }
    let existing = match unique.on_conflict {
        OnConflict::ReturnExisting => TaskRow::load(batch.conn, holder)?,
        OnConflict::Reject => None,
    };
    let Some(existing) = existing else { return Ok(Some(Submitted::UniqueConflict(holder))) };
    if let Some(key) = &command.key {
        keys::store(batch, accepted.tenant, Guarded::Submit, key, holder.raw())?;
    }
    Ok(Some(Submitted::Existing(super::record(batch, &existing)?)))
}

/// The answer to a request that came before, if its task is still there.
fn replayed(batch: &mut Batch<'_>, id: TaskId) -> Result<Option<Submitted>, Failure> {
    let Some(task) = TaskRow::load(batch.conn, id)? else { return Ok(None) };
    Ok(Some(Submitted::Replayed(super::record(batch, &task)?)))
}

fn is_pinned_agent_there(batch: &mut Batch<'_>, accepted: &AcceptedTask) -> Result<bool, Failure> {
    let Some(pinned) = accepted.asked.agent_id else { return Ok(true) };
    agent_row::is_there(batch.conn, pinned, accepted.tenant)
}

fn store(batch: &mut Batch<'_>, command: &SubmitTask, lane: &Lane) -> Result<Submitted, Failure> {
    let accepted = &command.task;
    let before = batch.mark();
    let mut task = new_row(accepted, lane, batch.now);
    tell(batch, &mut task, accepted, &lane.1)?;
    let is_claimed = begin_at_once(batch, &mut task, command, &lane.1)?;
    if !task.insert(batch.conn)? {
        // The same command came before and its fate was not known to its sender.
        batch.go_back(before);
        return replayed(batch, task.id)?
            .ok_or_else(|| Failure::corrupt(task.id.to_string(), "it is there and is not"));
    }
    Spec::insert(batch.conn, accepted, batch.now)?;
    if let Some(key) = &command.key {
        keys::store(batch, accepted.tenant, Guarded::Submit, key, task.id.raw())?;
    }
    if let Some(unique) = &accepted.asked.unique {
        let subject = (accepted.tenant, accepted.id);
        unique::take(batch, subject, &unique.key, unique.until, task.last_event_seq)?;
    }
    let spec = Spec::of(accepted, batch.now);
    let claimed = if is_claimed {
        let input = accepted.asked.input.as_ref().map(Arc::clone);
        Some(Box::new(moves::claimed(&task, spec.clone(), &lane.1, input)?))
    } else {
        None
    };
    Ok(Submitted::Accepted {
        record: Box::new(records::join(&task, spec, &lane.1, LastEnded::default())),
        claimed,
    })
}

fn new_row(accepted: &AcceptedTask, lane: &Lane, now: Timestamp) -> TaskRow {
    let asked = &accepted.asked;
    let eligible_at = asked.start.eligible_at(now);
    let close_deadline_at = asked.timeouts.close_deadline(now);
    let is_ready = eligible_at <= now;
    TaskRow {
        id: accepted.id,
        tenant: accepted.tenant,
        lane: lane.0,
        state: if is_ready { TaskState::Queued } else { TaskState::Scheduled },
        priority: asked.priority,
        attempt: 0,
        failures: 0,
        attempts_max: asked.attempts_max,
        crashes: 0,
        eligible_at: (!is_ready).then_some(eligible_at),
        wait_deadline_at: asked.timeouts.wait_deadline(eligible_at, close_deadline_at),
        close_deadline_at,
        started_at: None,
        finished_at: None,
        agent: None,
        lease_expires_at: None,
        lease_cap_at: None,
        lease_ttl_ms: 0,
        cancel_requested_at: None,
        expired: None,
        last_event_seq: 0,
    }
}

fn tell(
    batch: &mut Batch<'_>,
    task: &mut TaskRow,
    accepted: &AcceptedTask,
    lane: &LaneSpec,
) -> Result<(), Failure> {
    let mut data = Data::new().word("queue", &lane.queue).value("priority", task.priority);
    if let Some(eligible_at) = task.eligible_at {
        data = data.value("eligible_at_us", eligible_at.as_micros());
    }
    let telling = Telling {
        kind: EventKind::TaskSubmitted,
        moved: Some(Move { from: None, to: task.state, priority_from: None }),
        correlation_id: Arc::clone(&accepted.correlation_id),
        data,
    };
    batch.tell_task(task, telling)
}

/// Claims the task that is just being stored, when it is ready and the agent may take it.
fn begin_at_once(
    batch: &mut Batch<'_>,
    task: &mut TaskRow,
    command: &SubmitTask,
    lane: &LaneSpec,
) -> Result<bool, Failure> {
    let Some(agent) = command.eager.filter(|_| task.state == TaskState::Queued) else { return Ok(false) };
    if !agent_row::may_take(batch.conn, agent, lane)? {
        return Ok(false);
    }
    let start = Start {
        agent,
        timeouts: &command.task.asked.timeouts,
        lease_ttl_ms: command.lease_ttl_ms,
        correlation_id: &command.task.correlation_id,
    };
    moves::begin(batch, task, &start)
}
