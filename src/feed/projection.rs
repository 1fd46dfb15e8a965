//! The fold: events in, counts out.
//!
//! Invariant: folding the same log gives the same projection, whether in one go or from a checkpoint on.
//!
//! Invariant: events are folded in `seq` order without a gap; an event that is there already changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::{
    Agent, AgentId, AgentState, Event, EventKind, Health, LaneId, LaneSpec, Move, Name, Outcome, TaskState,
    TenantId, Timestamp,
};

use store::readers::Census;

use crate::figures::{AgentFigures, Ends, QueueFigures, RateRing, Rates, StateCounts};

/// The next event is missing; the log must be read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events {after} to {found} (exclusive) are missing from the fold")]
pub struct Gap {
    /// The last event that is folded in.
    pub after: i64,
    /// The event that came instead of the next one.
    pub found: i64,
}

/// What the log says so far.
#[derive(Debug, Clone, Default)]
pub struct Projection {
    seq: i64,
    totals: StateCounts,
    lanes: HashMap<LaneId, Lane>,
    agents: HashMap<AgentId, AgentFigures>,
    /// Agents that are registered; of no checkpoint, since the store lists them at every start.
    roster: HashMap<AgentId, Standing>,
    rates: RateRing,
    /// The last event that made a task `scheduled`, that started one, and that made one wait.
    marks: Marks,
}

/// The last events after which a janitor has to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// `seq` of the last event that made a task `scheduled`.
    pub scheduled: i64,
    /// `seq` of the last event that started an attempt or asked for a cancel.
    pub leased: i64,
    /// `seq` of the last event that made a task wait.
    pub waiting: i64,
}

/// How a registered agent stands, beside what it works on.
#[derive(Debug, Clone, Copy)]
struct Standing {
    health: Health,
    is_draining: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    pub(crate) spec: Option<Arc<LaneSpec>>,
    pub(crate) figures: QueueFigures,
}

impl Projection {
    /// The last event that is folded in; 0 when none is.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// Tasks that are stored now, by state.
    #[must_use]
    pub const fn totals(&self) -> StateCounts {
        self.totals
    }

    /// Every queue of a tenant that has or had tasks, by name.
    #[must_use]
    pub fn queues(&self, tenant: TenantId) -> Vec<(Name, QueueFigures)> {
        let mut found: BTreeMap<Name, QueueFigures> = BTreeMap::new();
        for lane in self.lanes.values() {
            if let Some(spec) = lane.spec.as_ref().filter(|spec| spec.tenant == tenant) {
                found.entry(spec.queue.clone()).or_default().add(&lane.figures);
            }
        }
        found.into_iter().collect()
    }

    /// One queue of a tenant; zeros where it has and had no tasks.
    #[must_use]
    pub fn queue(&self, tenant: TenantId, name: &Name) -> QueueFigures {
        let mut sum = QueueFigures::default();
        for lane in self.lanes.values() {
            if lane.spec.as_ref().is_some_and(|spec| spec.tenant == tenant && spec.queue == *name) {
                sum.add(&lane.figures);
            }
        }
        sum
    }

    /// The queue of an event, where it has one.
    #[must_use]
    pub fn queue_of(&self, event: &Event) -> Option<Name> {
        let spec = self.lanes.get(&event.lane?)?.spec.as_ref()?;
        Some(spec.queue.clone())
    }

    /// The states of all registered agents.
    pub fn agent_states(&self) -> impl Iterator<Item = AgentState> {
        self.roster.iter().map(|(id, standing)| {
            AgentState::of(standing.is_draining, standing.health, self.agent(*id).working)
        })
    }

    /// Learns of an agent that is registered.
    pub(crate) fn learn_agent(&mut self, agent: &Agent) {
        self.roster.insert(agent.id, Standing { health: agent.health, is_draining: agent.is_draining });
    }

    /// What is known of an agent; zeros where nothing is.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> AgentFigures {
        self.agents.get(&id).copied().unwrap_or_default()
    }

    /// Every lane with its meaning and its figures.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneId, &Arc<LaneSpec>, &QueueFigures)> {
        self.lanes.iter().filter_map(|(id, lane)| lane.spec.as_ref().map(|spec| (*id, spec, &lane.figures)))
    }

    /// Attempts that ended well and badly in the half minute before `now`, and in the one before that.
    #[must_use]
    pub fn halves(&self, now: Timestamp) -> [Ends; 2] {
        self.rates.halves(now)
    }

    /// Attempts that ended badly, and dead letters, over the last full minute before `now`.
    #[must_use]
    pub fn failed_recent(&self, now: Timestamp) -> u64 {
        self.rates.halves(now).iter().map(|ends| ends.badly).sum()
    }

    /// Tasks that became dead letters over the last full minute before `now`.
    #[must_use]
    pub fn dead_letters_recent(&self, now: Timestamp) -> u64 {
        self.rates.dead(now)
    }

    /// What happened per second over the minute before `now`.
    #[must_use]
    pub fn rates(&self, now: Timestamp) -> Rates {
        self.rates.rates(now)
    }

    /// The last events after which a janitor has to look again.
    #[must_use]
    pub const fn marks(&self) -> Marks {
        self.marks
    }

    /// Learns what a lane means; events name lanes by number only.
    pub fn learn_lane(&mut self, id: LaneId, spec: Arc<LaneSpec>) {
        self.lanes.entry(id).or_default().spec = Some(spec);
    }

    /// Folds one event in.
    ///
    /// # Errors
    /// [`Gap`] when an event before it is missing; nothing changes then.
    pub fn fold(&mut self, event: &Event) -> Result<(), Gap> {
        if event.seq <= self.seq {
            return Ok(());
        }
        if event.seq != self.seq + 1 {
            return Err(Gap { after: self.seq, found: event.seq });
        }
        self.seq = event.seq;
        self.rates.count(event);
        if let Some(moved) = event.moved {
            self.fold_move(event, moved);
        }
        match event.kind {
            EventKind::SystemTasksRetired => self.fold_retired(&event.data),
            EventKind::AgentRegistered | EventKind::AgentStateChanged => self.fold_standing(event),
            EventKind::AgentRemoved => self.forget_agent(event.agent),
            EventKind::TaskCancelRequested => self.marks.leased = event.seq,
            _ => {}
        }
        Ok(())
    }

    fn fold_move(&mut self, event: &Event, moved: Move) {
        let priority = event.priority.unwrap_or(domain::limits::PRIORITY_DEFAULT);
        if moved.from != Some(moved.to) {
            self.totals.shift(moved.from, moved.to);
        }
        if let Some(lane) = event.lane {
            let figures = &mut self.lanes.entry(lane).or_default().figures;
            if moved.from != Some(moved.to) {
                figures.counts.shift(moved.from, moved.to);
            }
            let before = moved.priority_from.unwrap_or(priority);
            step(figures, before, moved.from == Some(TaskState::Queued), false);
            step(figures, priority, moved.to == TaskState::Queued, true);
        }
        if let Some(agent) = event.agent {
            self.fold_agent(agent, event, moved);
        }
        self.mark(event.seq, moved.to);
    }

    fn fold_agent(&mut self, agent: AgentId, event: &Event, moved: Move) {
        let begins = moved.to == TaskState::Working && moved.from != Some(TaskState::Working);
        let ends = moved.from == Some(TaskState::Working) && moved.to != TaskState::Working;
        if !begins && !ends {
            return;
        }
        let figures = self.agents.entry(agent).or_default();
        figures.last_activity_at = Some(event.at);
        if begins {
            figures.working += 1;
            return;
        }
        figures.working = figures.working.saturating_sub(1);
        match event.kind {
            EventKind::TaskCompleted => figures.completed += 1,
            EventKind::TaskFailed if ended_in_a_crash(&event.data) => {}
            EventKind::TaskFailed | EventKind::TaskRetrying => figures.failed += 1,
            _ => {}
        }
        if figures.is_removed && figures.working == 0 {
            self.agents.remove(&agent);
        }
    }

    fn fold_standing(&mut self, event: &Event) {
        let (Some(agent), Ok(told)) = (event.agent, serde_json::from_str::<Told>(&event.data)) else {
            return;
        };
        // Nobody has seen an agent that was only registered.
        let fresh = Standing { health: Health::Offline, is_draining: false };
        let standing = self.roster.entry(agent).or_insert(fresh);
        standing.health = told.health.unwrap_or(standing.health);
        standing.is_draining = told.is_draining.unwrap_or(standing.is_draining);
    }

    fn mark(&mut self, seq: i64, to: TaskState) {
        match to {
            TaskState::Scheduled => {
                self.marks.scheduled = seq;
                self.marks.waiting = seq;
            }
            TaskState::Queued => self.marks.waiting = seq,
            TaskState::Working => self.marks.leased = seq,
            TaskState::Completed | TaskState::Failed | TaskState::Canceled => {}
        }
    }

    fn fold_retired(&mut self, data: &str) {
        let Ok(retired) = serde_json::from_str::<Retired>(data) else { return };
        self.totals.lower(TaskState::Completed, retired.completed);
        self.totals.lower(TaskState::Failed, retired.failed);
        self.totals.lower(TaskState::Canceled, retired.canceled);
    }

    /// The figures of an agent that is gone stay while attempts of it still run.
    fn forget_agent(&mut self, agent: Option<AgentId>) {
        let Some(agent) = agent else { return };
        self.roster.remove(&agent);
        match self.agents.get_mut(&agent) {
            Some(figures) if figures.working > 0 => figures.is_removed = true,
            Some(_) => drop(self.agents.remove(&agent)),
            None => {}
        }
    }

    pub(crate) fn stored(&self) -> Stored {
        Stored {
            seq: self.seq,
            totals: self.totals,
            lanes: self.lanes.iter().map(|(id, lane)| (id.0, lane.figures)).collect(),
            agents: self.agents.iter().map(|(id, figures)| (id.raw(), *figures)).collect(),
        }
    }

    /// From a count of what is stored, for a log whose beginning is gone: waiting and working are exact, what goes over
    /// all the log begins with what is still there.
    pub(crate) fn counted(census: &Census) -> Self {
        let mut fresh = Self { seq: census.seq, ..Self::default() };
        for ((lane, state, priority), count) in &census.tasks {
            fresh.totals.raise(*state, *count);
            let figures = &mut fresh.lanes.entry(*lane).or_default().figures;
            figures.counts.raise(*state, *count);
            if *state == TaskState::Queued
                && let Some(level) = figures.by_priority.get_mut(usize::from(*priority))
            {
                *level += count;
            }
        }
        for (agent, working) in &census.working {
            fresh.agents.entry(*agent).or_default().working = *working;
        }
        fresh.marks = Marks { scheduled: census.seq, leased: census.seq, waiting: census.seq };
        fresh
    }

    pub(crate) fn restored(stored: Stored) -> Self {
        let lane = |(id, figures)| (LaneId(id), Lane { spec: None, figures });
        Self {
            seq: stored.seq,
            totals: stored.totals,
            lanes: stored.lanes.into_iter().map(lane).collect(),
            agents: stored.agents.into_iter().map(|(id, figures)| (AgentId::from_raw(id), figures)).collect(),
            roster: HashMap::new(),
            rates: RateRing::default(),
            marks: Marks { scheduled: stored.seq, leased: stored.seq, waiting: stored.seq },
        }
    }
}

/// The form of a checkpoint.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stored {
    seq: i64,
    totals: StateCounts,
    lanes: Vec<(i64, QueueFigures)>,
    agents: Vec<(i64, AgentFigures)>,
}

/// The part of an event about an agent that the fold needs.
#[derive(serde::Deserialize)]
struct Told {
    health: Option<Health>,
    is_draining: Option<bool>,
}

/// The part of a retention event that the fold needs.
#[derive(serde::Deserialize)]
struct Retired {
    completed: u64,
    failed: u64,
    canceled: u64,
}

/// The part of an event about an ended attempt that the fold needs.
#[derive(serde::Deserialize)]
struct Ended<'a> {
    #[serde(borrow)]
    outcome: Option<&'a str>,
}

/// Whether a dead letter is one because the hive ended under it, which says nothing about its agent.
fn ended_in_a_crash(data: &str) -> bool {
    serde_json::from_str::<Ended<'_>>(data)
        .is_ok_and(|ended| ended.outcome == Some(Outcome::Crashed.as_str()))
}

fn step(figures: &mut QueueFigures, priority: u8, applies: bool, up: bool) {
    if !applies {
        return;
    }
    if let Some(level) = figures.by_priority.get_mut(usize::from(priority)) {
        *level = if up { *level + 1 } else { level.saturating_sub(1) };
    }
}

#[cfg(test)]
#[path = "projection_tests.rs"]
mod tests;
