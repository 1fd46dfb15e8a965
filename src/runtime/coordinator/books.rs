//! The coordinator's own counts: what waits in each lane, and what each agent can still take. Folded from the same
//! events as everything else, plus what is planned and not committed yet.
//!
//! Invariant: a slot that is planned is in nobody's free count until its claim has come back.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{
    Agent, AgentId, Event, EventKind, LaneId, LaneSpec, Name, TaskId, TaskState, TenantId, Timestamp,
};
use feed::QueueFigures;
use scheduling::problem::PRIORITIES;
use scheduling::{AgentSlots, Claim, IdMap, IdSet, LaneQueue, Problem};
use store::record::{LeaseRecord, QueueRecord};

use super::entries::{AgentBook, ENDING_MAX, Held, Lane, Origin, QueueBook, QueueNumber};

/// What an event means for the actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing beyond the counts.
    None,
    /// This attempt of a task has ended.
    Ended(TaskId, u32),
    /// The holder of a task should end.
    CancelAsked(TaskId),
    /// An agent came, changed or went.
    AgentChanged(TenantId, AgentId),
    /// A queue was paused or resumed, or has another limit.
    QueuesChanged,
}

/// What is on its way to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnderWay {
    /// Slots that are planned and whose claims have not come back.
    pub in_flight: u32,
    /// How many claims came back so far.
    pub deliveries: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Books {
    lanes: IdMap<LaneId, Lane>,
    lane_of: HashMap<Arc<LaneSpec>, LaneId>,
    active: IdSet<LaneId>,
    agents: IdMap<AgentId, AgentBook>,
    hungry: IdSet<AgentId>,
    queues: Vec<QueueBook>,
    queue_numbers: HashMap<(TenantId, Name), QueueNumber>,
    held: IdMap<TaskId, Held>,
    /// Claims that came back before their events.
    awaited: IdSet<(TaskId, u32)>,
}

impl Books {
    /// Learns a lane and what waits in it.
    pub(crate) fn learn_lane(&mut self, id: LaneId, spec: &Arc<LaneSpec>, figures: &QueueFigures) {
        if self.lanes.contains_key(&id) {
            return;
        }
        let queue = self.queue_number(spec.tenant, &spec.queue);
        if let Some(book) = self.queue_mut(queue) {
            book.waiting += figures.counts.waiting();
        }
        let mut waiting = [0; PRIORITIES];
        for (here, there) in waiting.iter_mut().zip(figures.by_priority) {
            *here = u32::try_from(there).unwrap_or(u32::MAX);
        }
        let mut agents = Vec::new();
        for (agent, book) in &mut self.agents {
            if covers(spec, &book.agent) {
                book.breadth += 1;
                agents.push(*agent);
            }
        }
        let lane = Lane { spec: Arc::clone(spec), queue, waiting, planned: [0; PRIORITIES], agents };
        if waiting.iter().any(|count| *count > 0) {
            self.active.insert(id);
        }
        self.lane_of.insert(Arc::clone(spec), id);
        self.lanes.insert(id, lane);
    }

    /// Learns an agent, or what changed of it.
    pub(crate) fn put_agent(&mut self, agent: &Arc<Agent>) {
        let id = agent.id;
        let mut breadth = 0;
        for lane in self.lanes.values_mut() {
            lane.agents.retain(|there| *there != id);
            if covers(&lane.spec, agent) {
                lane.agents.push(id);
                breadth += 1;
            }
        }
        let held = self.held.values().filter(|held| held.agent == id).count();
        let book = self.agents.entry(id).or_insert_with(|| AgentBook {
            agent: Arc::clone(agent),
            wanted: 0,
            in_flight: 0,
            held: u32::try_from(held).unwrap_or(u32::MAX),
            ending: IdSet::default(),
            breadth,
            deliveries: 0,
        });
        book.agent = Arc::clone(agent);
        book.breadth = breadth;
        self.note_hunger(id);
    }

    /// Forgets an agent.
    pub(crate) fn remove_agent(&mut self, id: AgentId) {
        self.agents.remove(&id);
        self.hungry.remove(&id);
        for lane in self.lanes.values_mut() {
            lane.agents.retain(|there| *there != id);
        }
    }

    /// Sets which queues are paused, and the limits.
    pub(crate) fn set_queues(&mut self, stored: &[QueueRecord]) {
        for queue in &mut self.queues {
            (queue.is_paused, queue.limit) = (false, None);
        }
        for record in stored {
            let number = self.queue_number(record.tenant, &record.name);
            if let Some(queue) = self.queue_mut(number) {
                (queue.is_paused, queue.limit) = (record.is_paused, record.concurrency_limit);
            }
        }
    }

    /// Takes up the attempts that were running already.
    pub(crate) fn take_up(&mut self, leases: &[LeaseRecord]) {
        for lease in leases {
            let LeaseRecord { attempt, agent, lane, started_at, .. } = *lease;
            self.hold(lease.task, Held { attempt, agent, lane, started_at });
        }
    }

    /// How many tasks wait in a queue.
    pub(crate) fn waiting_in(&self, tenant: TenantId, queue: &Name) -> u64 {
        let number = self.queue_numbers.get(&(tenant, queue.clone()));
        number.and_then(|number| self.queue(*number)).map_or(0, |queue| queue.waiting)
    }

    /// The lane of a task and the agent that can have it at once: nothing waits before it, its queue has room, and a
    /// slot is free.
    pub(crate) fn eager_agent(&self, spec: &LaneSpec) -> Option<(Origin, AgentId)> {
        if self.hungry.is_empty() {
            return None;
        }
        let id = *self.lane_of.get(spec)?;
        let lane = self.lanes.get(&id)?;
        if self.room(lane.queue) == Some(0) || lane.waiting.iter().any(|count| *count > 0) {
            return None;
        }
        let agent =
            scheduling::pick(&lane.agents, |agent| self.agents.get(&agent).map(AgentBook::free_slots))?;
        Some((Origin { lane: id, head: None }, agent))
    }

    /// An agent says how many assignments it wants. An offer from before the last delivery is outdated: a newer one
    /// follows.
    pub(crate) fn offer(&mut self, agent: AgentId, wanted: u32, seen_deliveries: u64) {
        if let Some(book) = self.agents.get_mut(&agent)
            && seen_deliveries == book.deliveries
        {
            book.wanted = wanted;
        }
        self.note_hunger(agent);
    }

    /// What is on its way to an agent.
    pub(crate) fn under_way(&self, agent: AgentId) -> UnderWay {
        self.agents.get(&agent).map_or_else(UnderWay::default, |book| UnderWay {
            in_flight: book.in_flight,
            deliveries: book.deliveries,
        })
    }

    /// Plans, and reserves what is planned. With each claim, the ends that it has to be behind: none where the slots are free
    /// anyway.
    pub(crate) fn plan(&mut self, turn: u64, slots_max: u32) -> Vec<(Claim, Vec<(TaskId, u32)>)> {
        if self.active.is_empty() || self.hungry.is_empty() {
            return Vec::new();
        }
        let lanes = self.active.iter().filter_map(|id| {
            let lane = self.lanes.get(id)?;
            if self.room(lane.queue) == Some(0) {
                return None;
            }
            let waiting = lane.claimable();
            waiting.iter().any(|count| *count > 0).then_some(LaneQueue {
                lane: *id,
                queue: lane.queue,
                waiting,
                agents: &lane.agents,
            })
        });
        let lanes: Vec<_> = lanes.collect();
        let room = lanes.iter().filter_map(|lane| Some((lane.queue, self.room(lane.queue)?))).collect();
        let agents = self.free_agents(&lanes);
        let problem = Problem { lanes, agents, room, turn, slots_max };
        let claims = scheduling::plan(problem);
        let placed = claims.into_iter().map(|claim| {
            let is_free =
                self.agents.get(&claim.agent).is_some_and(|book| claim.count <= book.free_slots().free);
            let behind = if is_free { Vec::new() } else { self.ending(claim.agent) };
            self.reserve(claim.agent, Origin::of(&claim), claim.count);
            (claim, behind)
        });
        placed.collect()
    }

    /// The free slots of those who can take something of these lanes. Whoever waits for other work costs nothing, however
    /// many there are.
    fn free_agents(&self, lanes: &[LaneQueue<'_>]) -> IdMap<AgentId, AgentSlots> {
        let slots = |id: &AgentId| self.agents.get(id).map(|book| (*id, book.slots()));
        let capable = || lanes.iter().flat_map(|lane| lane.agents);
        if capable().count() < self.hungry.len() {
            capable().filter(|id| self.hungry.contains(id)).filter_map(slots).collect()
        } else {
            self.hungry.iter().filter_map(slots).collect()
        }
    }

    /// Reserves slots of an agent and of the queue, and heads of a lane where they come from one.
    pub(crate) fn reserve(&mut self, agent: AgentId, from: Origin, count: u32) {
        if let Some(planned) = self.planned(from) {
            *planned += count;
        }
        if let Some(queue) = self.queue_of(from.lane) {
            queue.in_flight += count;
        }
        if let Some(book) = self.agents.get_mut(&agent) {
            book.in_flight += count;
        }
        self.note_hunger(agent);
    }

    /// Claims came back: what was reserved is free again, what was claimed is held.
    pub(crate) fn settle(
        &mut self,
        agent: AgentId,
        from: Origin,
        planned_count: u32,
        claimed: impl Iterator<Item = (TaskId, u32, Timestamp)>,
    ) {
        let mut unplanned = planned_count;
        for (task, attempt, started_at) in claimed {
            let is_folded = self.held.get(&task).is_some_and(|there| there.attempt >= attempt);
            self.hold(task, Held { attempt, agent, lane: from.lane, started_at });
            if from.head.is_some() && !is_folded {
                // Its event is still to come; until then the task is in the lane's count.
                self.awaited.insert((task, attempt));
                unplanned = unplanned.saturating_sub(1);
            }
        }
        if let Some(planned) = self.planned(from) {
            *planned = planned.saturating_sub(unplanned);
        }
        if let Some(queue) = self.queue_of(from.lane) {
            queue.in_flight = queue.in_flight.saturating_sub(planned_count);
        }
        if let Some(book) = self.agents.get_mut(&agent) {
            book.in_flight = book.in_flight.saturating_sub(planned_count);
            book.wanted = book.wanted.saturating_sub(planned_count);
            book.deliveries += 1;
        }
        self.note_hunger(agent);
    }

    /// Gives a reservation back whose claim was never sent.
    pub(crate) fn unreserve(&mut self, agent: AgentId, from: Origin, count: u32) {
        if let Some(planned) = self.planned(from) {
            *planned = planned.saturating_sub(count);
        }
        if let Some(queue) = self.queue_of(from.lane) {
            queue.in_flight = queue.in_flight.saturating_sub(count);
        }
        if let Some(book) = self.agents.get_mut(&agent) {
            book.in_flight = book.in_flight.saturating_sub(count);
        }
        self.note_hunger(agent);
    }

    /// The end of an attempt is under way: its slot may be claimed behind it. Answers whether that is of use to anybody.
    pub(crate) fn ends(&mut self, task: TaskId, attempt: u32) -> bool {
        let Some(agent) = self.holder(task, attempt) else { return false };
        if let Some(book) = self.agents.get_mut(&agent) {
            book.ending.insert((task, attempt));
        }
        self.note_hunger(agent);
        !self.active.is_empty() && self.hungry.contains(&agent)
    }

    /// The end that was under way was not one.
    pub(crate) fn does_not_end(&mut self, task: TaskId, attempt: u32) {
        let Some(agent) = self.holder(task, attempt) else { return };
        if let Some(book) = self.agents.get_mut(&agent) {
            book.ending.remove(&(task, attempt));
        }
        self.note_hunger(agent);
    }

    /// The attempts of an agent that a claim for it has to be behind.
    fn ending(&self, agent: AgentId) -> Vec<(TaskId, u32)> {
        let book = self.agents.get(&agent);
        book.map_or_else(Vec::new, |book| book.ending.iter().take(ENDING_MAX).copied().collect())
    }

    fn holder(&self, task: TaskId, attempt: u32) -> Option<AgentId> {
        self.held.get(&task).filter(|held| held.attempt == attempt).map(|held| held.agent)
    }

    /// When the attempt began whose end an event tells.
    pub(crate) fn began(&self, event: &Event) -> Option<Timestamp> {
        let held = self.held.get(&event.task?)?;
        (ends_attempt(event) && event.attempt == Some(held.attempt)).then_some(held.started_at)
    }

    /// Folds one event in.
    pub(crate) fn fold(&mut self, event: &Event) -> Effect {
        if let Some(moved) = event.moved {
            self.fold_move(event, moved);
        }
        match (event.kind, event.task, event.agent) {
            (EventKind::TaskCancelRequested, Some(task), _) => Effect::CancelAsked(task),
            (
                EventKind::AgentRegistered
                | EventKind::AgentUpdated
                | EventKind::AgentStateChanged
                | EventKind::AgentRemoved,
                _,
                Some(agent),
            ) => Effect::AgentChanged(event.tenant, agent),
            (EventKind::QueuePaused | EventKind::QueueResumed | EventKind::QueueUpdated, _, _) => {
                Effect::QueuesChanged
            }
            (_, Some(task), _) if ends_attempt(event) => {
                Effect::Ended(task, event.attempt.unwrap_or(u32::MAX))
            }
            _ => Effect::None,
        }
    }

    fn fold_move(&mut self, event: &Event, moved: domain::Move) {
        let (Some(task), Some(lane_id)) = (event.task, event.lane) else { return };
        let priority = event.priority.unwrap_or(domain::limits::PRIORITY_DEFAULT);
        let was_waiting = matches!(moved.from, Some(TaskState::Scheduled | TaskState::Queued));
        let is_waiting = matches!(moved.to, TaskState::Scheduled | TaskState::Queued);
        if let Some(lane) = self.lanes.get_mut(&lane_id) {
            if moved.from == Some(TaskState::Queued) {
                step(&mut lane.waiting, moved.priority_from.unwrap_or(priority), false);
            }
            if moved.to == TaskState::Queued {
                step(&mut lane.waiting, priority, true);
            }
            if lane.waiting.iter().any(|count| *count > 0) {
                self.active.insert(lane_id);
            } else {
                self.active.remove(&lane_id);
            }
            let number = lane.queue;
            if let Some(queue) = self.queue_mut(number) {
                match (was_waiting, is_waiting) {
                    (false, true) => queue.waiting += 1,
                    (true, false) => queue.waiting = queue.waiting.saturating_sub(1),
                    (true, true) | (false, false) => {}
                }
            }
        }
        if let (TaskState::Working, Some(attempt), Some(agent)) = (moved.to, event.attempt, event.agent) {
            self.hold(task, Held { attempt, agent, lane: lane_id, started_at: event.at });
            if self.awaited.remove(&(task, attempt))
                && let Some(planned) = self.planned(Origin { lane: lane_id, head: Some(priority) })
            {
                *planned = planned.saturating_sub(1);
            }
        } else if ends_attempt(event) {
            self.release(task, event.attempt.unwrap_or(u32::MAX));
        }
    }

    fn hold(&mut self, task: TaskId, held: Held) {
        match self.held.get(&task) {
            Some(there) if there.attempt >= held.attempt => return,
            Some(there) => self.release(task, there.attempt),
            None => {}
        }
        self.held.insert(task, held);
        if let Some(queue) = self.queue_of(held.lane) {
            queue.held += 1;
        }
        if let Some(book) = self.agents.get_mut(&held.agent) {
            book.held += 1;
        }
        self.note_hunger(held.agent);
    }

    /// An attempt has ended; news of an older one do not touch a newer one.
    fn release(&mut self, task: TaskId, attempt: u32) {
        if self.held.get(&task).is_none_or(|there| there.attempt > attempt) {
            return;
        }
        let Some(Held { attempt, agent, lane, .. }) = self.held.remove(&task) else { return };
        if let Some(queue) = self.queue_of(lane) {
            queue.held = queue.held.saturating_sub(1);
        }
        if let Some(book) = self.agents.get_mut(&agent) {
            book.held = book.held.saturating_sub(1);
            book.ending.remove(&(task, attempt));
        }
        self.note_hunger(agent);
    }

    fn note_hunger(&mut self, agent: AgentId) {
        let is_hungry = self.agents.get(&agent).is_some_and(|book| book.slots().free > 0);
        if is_hungry {
            self.hungry.insert(agent);
        } else {
            self.hungry.remove(&agent);
        }
    }

    fn planned(&mut self, from: Origin) -> Option<&mut u32> {
        self.lanes.get_mut(&from.lane)?.planned.get_mut(usize::from(from.head?))
    }

    /// The place of a queue; one that is not known yet gets the next.
    fn queue_number(&mut self, tenant: TenantId, name: &Name) -> QueueNumber {
        *self.queue_numbers.entry((tenant, name.clone())).or_insert_with(|| {
            self.queues.push(QueueBook::default());
            QueueNumber::try_from(self.queues.len() - 1).unwrap_or(QueueNumber::MAX)
        })
    }

    fn queue(&self, number: QueueNumber) -> Option<&QueueBook> {
        usize::try_from(number).ok().and_then(|place| self.queues.get(place))
    }

    fn queue_mut(&mut self, number: QueueNumber) -> Option<&mut QueueBook> {
        usize::try_from(number).ok().and_then(|place| self.queues.get_mut(place))
    }

    fn queue_of(&mut self, lane: LaneId) -> Option<&mut QueueBook> {
        let number = self.lanes.get(&lane)?.queue;
        self.queue_mut(number)
    }

    /// How many more tasks of a queue may begin; `None` where there is no limit.
    fn room(&self, number: QueueNumber) -> Option<u32> {
        self.queue(number).and_then(QueueBook::room)
    }
}

fn covers(spec: &LaneSpec, agent: &Agent) -> bool {
    spec.is_covered_by(agent.tenant, agent.id, &agent.asked.capabilities)
}

fn ends_attempt(event: &Event) -> bool {
    event.moved.is_some_and(|moved| moved.from == Some(TaskState::Working) && moved.to != TaskState::Working)
}

fn step(levels: &mut [u32; PRIORITIES], priority: u8, up: bool) {
    if let Some(level) = levels.get_mut(usize::from(priority)) {
        *level = if up { level.saturating_add(1) } else { level.saturating_sub(1) };
    }
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
