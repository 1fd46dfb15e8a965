//! The coordinator's own counts: what waits in each lane, and what each agent can still take. Folded from the same
//! events as everything else, plus what is planned and not committed yet.
//!
//! Invariant: a slot that is planned is in nobody's free count until its claim has come back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{Agent, AgentId, Event, EventKind, LaneId, LaneSpec, Name, TaskId, TaskState, TenantId};
use feed::QueueFigures;
use scheduling::problem::PRIORITIES;
use scheduling::{AgentSlots, Claim, LaneQueue, Problem};
use store::record::LeaseRecord;

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
    /// A queue was paused or resumed.
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

#[derive(Debug)]
struct Lane {
    spec: Arc<LaneSpec>,
    queue: u32,
    waiting: [u32; PRIORITIES],
    planned: [u32; PRIORITIES],
    agents: Vec<AgentId>,
}

impl Lane {
    fn claimable(&self) -> [u32; PRIORITIES] {
        let mut left = self.waiting;
        for (left, planned) in left.iter_mut().zip(self.planned) {
            *left = left.saturating_sub(planned);
        }
        left
    }
}

#[derive(Debug)]
struct AgentBook {
    agent: Arc<Agent>,
    wanted: u32,
    in_flight: u32,
    held: u32,
    breadth: u32,
    /// How many claims came back for it; an offer made before the last one is outdated.
    deliveries: u64,
}

impl AgentBook {
    fn slots(&self) -> AgentSlots {
        let room = self.agent.asked.capacity.saturating_sub(self.held);
        let free = self.wanted.min(room).saturating_sub(self.in_flight);
        AgentSlots { free: if self.agent.is_draining { 0 } else { free }, breadth: self.breadth }
    }
}

#[derive(Debug, Default)]
struct QueueBook {
    number: u32,
    waiting: u64,
    is_paused: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Books {
    lanes: HashMap<LaneId, Lane>,
    lane_of: HashMap<Arc<LaneSpec>, LaneId>,
    active: HashSet<LaneId>,
    agents: HashMap<AgentId, AgentBook>,
    hungry: HashSet<AgentId>,
    queues: HashMap<(TenantId, Name), QueueBook>,
    held: HashMap<TaskId, (u32, AgentId)>,
    /// Claims that came back before their events.
    awaited: HashSet<(TaskId, u32)>,
}

impl Books {
    /// Learns a lane and what waits in it.
    pub(crate) fn learn_lane(&mut self, id: LaneId, spec: &Arc<LaneSpec>, figures: &QueueFigures) {
        if self.lanes.contains_key(&id) {
            return;
        }
        let next = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let queue = self
            .queues
            .entry((spec.tenant, spec.queue.clone()))
            .or_insert_with(|| QueueBook { number: next, ..QueueBook::default() });
        queue.waiting += figures.counts.waiting();
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
        let lane =
            Lane { spec: Arc::clone(spec), queue: queue.number, waiting, planned: [0; PRIORITIES], agents };
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
        let held = self.held.values().filter(|(_, holder)| *holder == id).count();
        let book = self.agents.entry(id).or_insert_with(|| AgentBook {
            agent: Arc::clone(agent),
            wanted: 0,
            in_flight: 0,
            held: u32::try_from(held).unwrap_or(u32::MAX),
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

    /// Sets which queues are paused.
    pub(crate) fn set_paused(&mut self, paused: &HashSet<(TenantId, Name)>) {
        for key in paused {
            let next = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
            self.queues
                .entry(key.clone())
                .or_insert_with(|| QueueBook { number: next, ..QueueBook::default() });
        }
        for (key, queue) in &mut self.queues {
            queue.is_paused = paused.contains(key);
        }
    }

    /// Takes up the attempts that were running already.
    pub(crate) fn take_up(&mut self, leases: &[LeaseRecord]) {
        for lease in leases {
            self.hold(lease.task, lease.attempt, lease.agent);
        }
    }

    /// How many tasks wait in a queue.
    pub(crate) fn waiting_in(&self, tenant: TenantId, queue: &Name) -> u64 {
        self.queues.get(&(tenant, queue.clone())).map_or(0, |queue| queue.waiting)
    }

    /// The agent that can have a task of this lane at once: nothing waits before it and a slot is free.
    pub(crate) fn eager_agent(&self, spec: &LaneSpec) -> Option<AgentId> {
        if self.hungry.is_empty() || self.is_paused(spec) {
            return None;
        }
        let lane = self.lane_of.get(spec).and_then(|id| self.lanes.get(id))?;
        if lane.waiting.iter().any(|count| *count > 0) {
            return None;
        }
        scheduling::pick(&lane.agents, |agent| self.agents.get(&agent).map(AgentBook::slots))
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

    /// Plans, and reserves what is planned.
    pub(crate) fn plan(&mut self, turn: u64, slots_max: u32) -> Vec<Claim> {
        if self.active.is_empty() || self.hungry.is_empty() {
            return Vec::new();
        }
        let lanes = self.active.iter().filter_map(|id| {
            let lane = self.lanes.get(id)?;
            let is_open = !self.is_paused(&lane.spec);
            let waiting = lane.claimable();
            (is_open && waiting.iter().any(|count| *count > 0)).then_some(LaneQueue {
                lane: *id,
                queue: lane.queue,
                waiting,
                agents: &lane.agents,
            })
        });
        let agents =
            self.hungry.iter().filter_map(|id| self.agents.get(id).map(|book| (*id, book.slots()))).collect();
        let problem = Problem { lanes: lanes.collect(), agents, turn, slots_max };
        let claims = scheduling::plan(&problem);
        for claim in &claims {
            self.reserve(claim.agent, Some((claim.lane, claim.priority)), claim.count);
        }
        claims
    }

    /// Reserves slots of an agent, and heads of a lane where they come from one.
    pub(crate) fn reserve(&mut self, agent: AgentId, from: Option<(LaneId, u8)>, count: u32) {
        if let Some(planned) = self.planned(from) {
            *planned += count;
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
        from: Option<(LaneId, u8)>,
        planned_count: u32,
        claimed: impl Iterator<Item = (TaskId, u32)>,
    ) {
        let mut unplanned = planned_count;
        for (task, attempt) in claimed {
            let is_folded = self.held.get(&task).is_some_and(|(there, _)| *there >= attempt);
            self.hold(task, attempt, agent);
            if from.is_some() && !is_folded {
                // Its event is still to come; until then the task is in the lane's count.
                self.awaited.insert((task, attempt));
                unplanned = unplanned.saturating_sub(1);
            }
        }
        if let Some(planned) = self.planned(from) {
            *planned = planned.saturating_sub(unplanned);
        }
        if let Some(book) = self.agents.get_mut(&agent) {
            book.in_flight = book.in_flight.saturating_sub(planned_count);
            book.wanted = book.wanted.saturating_sub(planned_count);
            book.deliveries += 1;
        }
        self.note_hunger(agent);
    }

    /// Gives a reservation back whose claim was never sent.
    pub(crate) fn unreserve(&mut self, agent: AgentId, from: Option<(LaneId, u8)>, count: u32) {
        if let Some(planned) = self.planned(from) {
            *planned = planned.saturating_sub(count);
        }
        if let Some(book) = self.agents.get_mut(&agent) {
            book.in_flight = book.in_flight.saturating_sub(count);
        }
        self.note_hunger(agent);
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
            (EventKind::QueuePaused | EventKind::QueueResumed, _, _) => Effect::QueuesChanged,
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
            if let Some(queue) = self.queues.get_mut(&(lane.spec.tenant, lane.spec.queue.clone())) {
                match (was_waiting, is_waiting) {
                    (false, true) => queue.waiting += 1,
                    (true, false) => queue.waiting = queue.waiting.saturating_sub(1),
                    (true, true) | (false, false) => {}
                }
            }
        }
        if let (TaskState::Working, Some(attempt), Some(agent)) = (moved.to, event.attempt, event.agent) {
            self.hold(task, attempt, agent);
            if self.awaited.remove(&(task, attempt))
                && let Some(planned) = self.planned(Some((lane_id, priority)))
            {
                *planned = planned.saturating_sub(1);
            }
        } else if ends_attempt(event) {
            self.release(task, event.attempt.unwrap_or(u32::MAX));
        }
    }

    fn hold(&mut self, task: TaskId, attempt: u32, agent: AgentId) {
        match self.held.get(&task) {
            Some((there, _)) if *there >= attempt => return,
            Some((there, _)) => self.release(task, *there),
            None => {}
        }
        self.held.insert(task, (attempt, agent));
        if let Some(book) = self.agents.get_mut(&agent) {
            book.held += 1;
        }
        self.note_hunger(agent);
    }

    /// An attempt has ended; news of an older one do not touch a newer one.
    fn release(&mut self, task: TaskId, attempt: u32) {
        if self.held.get(&task).is_none_or(|(there, _)| *there > attempt) {
            return;
        }
        let Some((_, agent)) = self.held.remove(&task) else { return };
        if let Some(book) = self.agents.get_mut(&agent) {
            book.held = book.held.saturating_sub(1);
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

    fn planned(&mut self, from: Option<(LaneId, u8)>) -> Option<&mut u32> {
        let (lane, priority) = from?;
        self.lanes.get_mut(&lane)?.planned.get_mut(usize::from(priority))
    }

    fn is_paused(&self, spec: &LaneSpec) -> bool {
        self.queues.get(&(spec.tenant, spec.queue.clone())).is_some_and(|queue| queue.is_paused)
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
