//! One transaction while it is open: its connection, its time, and what it will tell of.

use std::sync::Arc;

use crate::sql::conn::Conn;
use domain::event::DATA_BYTES_MAX;
use domain::{AgentId, Event, EventKind, LaneId, LaneSpec, Move, TaskState, TenantId, Timestamp};

use crate::quarantine::Quarantine;
use crate::sql::data::Data;
use crate::sql::event_row::{self, LinkedEvent};
use crate::sql::failure::Failure;
use crate::sql::lanes::{Lane, Lanes};
use crate::sql::task_row::TaskRow;

/// Everything a command needs to be applied.
pub(crate) struct Batch<'a> {
    /// The writer's connection, inside the transaction.
    pub conn: &'a mut Conn,
    /// The lanes; new ones are taken back when the transaction is.
    pub lanes: &'a mut Lanes,
    /// Most lanes.
    pub lanes_max: usize,
    /// Tasks that cannot be understood.
    pub quarantine: &'a Quarantine,
    /// What time it is for the whole batch.
    pub now: Timestamp,
    /// The last `seq` before this batch.
    last_seq: i64,
    events: Vec<LinkedEvent>,
    flushed: usize,
    new_lanes: Vec<Lane>,
}

/// A place to go back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    events: usize,
    lanes: usize,
}

/// What a finished batch tells of.
pub(crate) struct Told {
    /// Its events.
    pub events: Vec<Event>,
    /// Its lanes.
    pub new_lanes: Vec<Lane>,
}

/// An event about a task, but for what the task itself says.
pub(crate) struct Telling {
    /// What happened.
    pub kind: EventKind,
    /// How it moved the task.
    pub moved: Option<Move>,
    /// The request that caused it.
    pub correlation_id: Arc<str>,
    /// More.
    pub data: Data,
}

/// An event that is not about a task.
pub(crate) struct Fact {
    /// What happened.
    pub kind: EventKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// To which agent.
    pub agent: Option<AgentId>,
    /// The request that caused it.
    pub correlation_id: Arc<str>,
    /// More.
    pub data: Arc<str>,
}

impl<'a> Batch<'a> {
    /// A batch on a connection that is inside a transaction.
    pub(crate) fn new(
        conn: &'a mut Conn,
        lanes: &'a mut Lanes,
        (lanes_max, quarantine): (usize, &'a Quarantine),
        now: Timestamp,
        last_seq: i64,
    ) -> Self {
        let (events, new_lanes) = (Vec::new(), Vec::new());
        Self { conn, lanes, lanes_max, quarantine, now, last_seq, events, flushed: 0, new_lanes }
    }

    /// The lane of a spec, interned where it is new; `None` when there are as many as there may be.
    pub(crate) fn lane(&mut self, spec: LaneSpec) -> Result<Option<Lane>, Failure> {
        if let Some(known) = self.lanes.find(&spec) {
            return Ok(Some(known));
        }
        if self.lanes.count() >= self.lanes_max {
            return Ok(None);
        }
        let lane = self.lanes.intern(self.conn, spec)?;
        self.new_lanes.push(lane.clone());
        Ok(Some(lane))
    }

    /// What a lane stands for.
    pub(crate) fn lane_spec(&self, id: LaneId) -> Result<Arc<LaneSpec>, Failure> {
        self.lanes.get(id).cloned()
    }

    /// Notes an event about a task and links it to the one before; the task's row has to be written afterwards.
    pub(crate) fn tell_task(&mut self, task: &mut TaskRow, telling: Telling) -> Result<(), Failure> {
        let prior = task.last_event_seq;
        let is_held = match telling.moved {
            Some(moved) => moved.from == Some(TaskState::Working) || moved.to == TaskState::Working,
            None => telling.kind == EventKind::TaskCancelRequested,
        };
        let event = Event {
            seq: self.next_seq(),
            at: self.now,
            tenant: task.tenant,
            kind: telling.kind,
            task: Some(task.id),
            agent: task.agent.filter(|_| is_held),
            attempt: is_held.then_some(task.attempt),
            lane: Some(task.lane),
            priority: Some(task.priority),
            correlation_id: telling.correlation_id,
            moved: telling.moved,
            data: telling.data.finish(telling.moved),
        };
        task.last_event_seq = event.seq;
        self.push(LinkedEvent { event, task_prior_seq: Some(prior) })
    }

    /// Notes an event that is not about a task.
    pub(crate) fn tell(&mut self, fact: Fact) -> Result<(), Failure> {
        let event = Event {
            seq: self.next_seq(),
            at: self.now,
            tenant: fact.tenant,
            kind: fact.kind,
            task: None,
            agent: fact.agent,
            attempt: None,
            lane: None,
            priority: None,
            correlation_id: fact.correlation_id,
            moved: None,
            data: fact.data,
        };
        self.push(LinkedEvent { event, task_prior_seq: None })
    }

    /// The `seq` of the last event that was told of; the last one before this batch when there is none.
    pub(crate) fn last_seq(&self) -> i64 {
        let told = i64::try_from(self.events.len()).unwrap_or(i64::MAX);
        self.last_seq.saturating_add(told)
    }

    fn next_seq(&self) -> i64 {
        self.last_seq().saturating_add(1)
    }

    fn push(&mut self, event: LinkedEvent) -> Result<(), Failure> {
        if event.event.data.len() > DATA_BYTES_MAX {
            return Err(Failure::Unfit("an event's data may be at most 512 bytes".to_owned()));
        }
        self.events.push(event);
        Ok(())
    }

    /// Where the batch stands, to go back to when the next command fails.
    pub(crate) fn mark(&self) -> Mark {
        Mark { events: self.events.len(), lanes: self.new_lanes.len() }
    }

    /// Takes back what came after `mark`.
    pub(crate) fn go_back(&mut self, mark: Mark) {
        self.events.truncate(mark.events);
        self.flushed = self.flushed.min(mark.events);
        let taken_back = self.new_lanes.split_off(mark.lanes.min(self.new_lanes.len()));
        self.lanes.forget(&taken_back);
    }

    /// Writes the events and new tasks that are not written yet.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.conn.write()?;
        event_row::insert(self.conn, self.events.get(self.flushed..).unwrap_or_default())?;
        self.flushed = self.events.len();
        Ok(())
    }

    /// The connection, and the events that are not written yet.
    pub(crate) fn unwritten(&mut self) -> (&mut Conn, &[LinkedEvent]) {
        (self.conn, self.events.get(self.flushed..).unwrap_or_default())
    }

    /// What there is to tell, once it is committed.
    pub(crate) fn told(self) -> Told {
        let events = self.events.into_iter().map(|linked| linked.event).collect();
        Told { events, new_lanes: self.new_lanes }
    }
}
