//! Sees every commit as it is made and folds it by rules of its own: what the log may say, whoever holds what, who has
//! how many slots. It shares no decision with the program; what both know are the words.
//!
//! Checked at every commit: `seq` without a gap and in order over all lives of the hive; ids that only grow; every move of
//! a task legal and from where it stood; attempts that count up by one; an end by the attempt that holds; one completion a
//! task; failures that are charged and only those; no agent beyond its capacity, draining, gone or without what the task
//! requires; no queue beyond its limit or paused, once the change had time to be heard; no lease taken away before the
//! expiry that its holder was told.

use std::collections::{BTreeMap, BTreeSet};

use domain::{AgentId, Event, EventKind, Name, NewTask, Report, TaskId, TaskState, Timeouts, Timestamp};
use store::command::{AgentEdit, Command, QueueEdit, SubmitTask};
use store::outcome::{AgentChange, Outcome, QueueChanged, Registered, Submitted};
use store::port::Committed;

use crate::world::World;

/// How long after a change of a queue claims may still come that were planned before it: longer than the writer stalls.
const HEARD_MS: u64 = 6_000;
/// How long before a start is told of the leases were looked at, at most.
const START_MS: u64 = 1_000;

/// A task as the log has it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub state: TaskState,
    pub attempt: u32,
    pub failures: u32,
    pub agent: Option<AgentId>,
    pub queue: Name,
    pub completed_by: Option<u32>,
    pub is_cancel_requested: bool,
    attempts_max: u32,
    requires: BTreeSet<Name>,
    pinned: Option<AgentId>,
    timeouts: Timeouts,
    closes_at: Option<Timestamp>,
    started_at: Timestamp,
    /// The latest expiry of the present lease that anybody was told.
    promised_until: Option<Timestamp>,
}

/// An agent as the log has it.
#[derive(Debug, Clone, Default)]
pub struct SeenAgent {
    pub capacity: u32,
    pub is_draining: bool,
    pub is_gone: bool,
    capabilities: BTreeSet<Name>,
}

/// A queue: how it was changed, and when.
#[derive(Debug, Clone, Default)]
struct SeenQueue {
    changes: Vec<(Timestamp, QueueChanged)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Witness {
    pub seq: i64,
    at: Timestamp,
    pub tasks: BTreeMap<TaskId, Seen>,
    pub agents: BTreeMap<AgentId, SeenAgent>,
    queues: BTreeMap<Name, SeenQueue>,
    asked: BTreeMap<TaskId, NewTask>,
    not_retryable: BTreeSet<(TaskId, u32)>,
}

impl Witness {
    /// How many tasks are not terminal.
    pub fn open_count(&self) -> usize {
        self.tasks.values().filter(|task| !task.state.is_terminal()).count()
    }

    /// The tasks in one state.
    pub fn in_state(&self, state: TaskState) -> Vec<TaskId> {
        self.tasks.iter().filter(|(_, task)| task.state == state).map(|(id, _)| *id).collect()
    }

    /// Attempts that an agent holds.
    pub fn working(&self, agent: AgentId) -> u32 {
        let holds = |task: &&Seen| task.state == TaskState::Working && task.agent == Some(agent);
        u32::try_from(self.tasks.values().filter(holds).count()).unwrap_or(u32::MAX)
    }

    /// A holder was told that its lease is stored up to here.
    pub fn promise(&mut self, task: TaskId, attempt: u32, until: Timestamp) {
        if let Some(seen) = self.tasks.get_mut(&task)
            && seen.attempt == attempt
            && seen.state == TaskState::Working
        {
            seen.promised_until = seen.promised_until.max(Some(until));
        }
    }

    /// Sees a commit; answers what is wrong with it.
    pub fn see(&mut self, world: &World, batch: &[Command], committed: &Committed) -> Vec<String> {
        let mut broken = Vec::new();
        for command in batch {
            self.hear(command);
        }
        for event in &committed.events {
            world.note("log", line(event));
            if event.kind == EventKind::SystemStarted {
                self.begins_anew(event.at, world.script.lease_ttl_ms);
            }
            let before = broken.len();
            self.fold(event, &mut broken);
            for what in &mut broken[before..] {
                *what = format!("{what} (event {} {})", event.seq, event.kind.as_str());
            }
        }
        for (command, outcome) in batch.iter().zip(&committed.outcomes) {
            if let Ok(outcome) = outcome {
                self.heed(command, outcome, committed, &mut broken);
            }
        }
        broken
    }

    /// A hive begins: whatever was told of a lease by a clock that was ahead, none lasts longer than a lease may from now on.
    fn begins_anew(&mut self, at: Timestamp, usual_ttl_ms: u64) {
        for task in self.tasks.values_mut() {
            let ttl_ms = task.timeouts.lease_ttl_ms(usual_ttl_ms).max(usual_ttl_ms);
            // Leases are looked at a moment before the start is told of.
            let until = at.plus_ms(ttl_ms).minus_ms(START_MS);
            task.promised_until = task.promised_until.map(|promised| promised.min(until));
        }
    }

    /// What a command asks for, before anything of it is seen.
    fn hear(&mut self, command: &Command) {
        let mut submit = |asked: &SubmitTask| {
            self.asked.insert(asked.task.id, asked.task.asked.clone());
        };
        match command {
            Command::SubmitTask(asked) => submit(asked),
            Command::SubmitMany(many) => many.tasks.iter().for_each(submit),
            Command::FinishAttempt(finish) => {
                if let Report::Failed { retryable: false, .. } = finish.report {
                    self.not_retryable.insert((finish.task, finish.attempt));
                }
            }
            _ => {}
        }
    }

    /// What a command was answered.
    fn heed(
        &mut self,
        command: &Command,
        outcome: &Outcome,
        committed: &Committed,
        broken: &mut Vec<String>,
    ) {
        let at = committed.events.last().map_or(self.at, |event| event.at);
        match (command, outcome) {
            (Command::ChangeQueue(change), Outcome::QueueChanged(now)) => {
                let queue = self.queues.entry(change.queue.clone()).or_default();
                let is_same = |edit: &QueueEdit| match edit {
                    QueueEdit::Pause => now.is_paused,
                    QueueEdit::Resume => !now.is_paused,
                    QueueEdit::Limit(limit) => now.concurrency_limit == *limit,
                };
                if !is_same(&change.edit) {
                    broken.push(format!("queue {} was asked {:?} and is {now:?}", change.queue, change.edit));
                }
                queue.changes.push((at, *now));
            }
            (Command::ChangeAgent(change), Outcome::AgentChange(AgentChange::Done(agent))) => {
                let seen = self.agents.entry(agent.id).or_default();
                seen.is_draining = agent.is_draining;
                seen.is_gone |= matches!(change.change, AgentEdit::Remove);
            }
            (Command::RegisterAgent(_), Outcome::Registered(Registered::Accepted(agent))) => {
                let seen = SeenAgent {
                    capacity: agent.asked.capacity,
                    capabilities: agent.asked.capabilities.clone(),
                    ..SeenAgent::default()
                };
                self.agents.insert(agent.id, seen);
            }
            (Command::SubmitTask(asked), Outcome::Submitted(answer)) => self.kept(asked, answer, broken),
            _ => {}
        }
    }

    fn kept(&self, asked: &SubmitTask, answer: &Submitted, broken: &mut Vec<String>) {
        if let Submitted::Accepted { record, .. } = answer
            && (record.id != asked.task.id || !self.tasks.contains_key(&record.id))
        {
            broken.push(format!("{} was accepted and no event tells of it", record.id));
        }
    }

    fn fold(&mut self, event: &Event, broken: &mut Vec<String>) {
        if event.seq != self.seq + 1 {
            broken.push(format!("seq {} follows {}", event.seq, self.seq));
        }
        if event.at < self.at {
            broken.push(format!("time went back from {} to {}", self.at, event.at));
        }
        (self.seq, self.at) = (event.seq, event.at);
        if event.kind == EventKind::AgentRemoved
            && let Some(agent) = event.agent
        {
            self.agents.entry(agent).or_default().is_gone = true;
        }
        let Some(id) = event.task else { return };
        if event.kind == EventKind::TaskSubmitted {
            self.submitted(id, event, broken);
        } else if event.kind == EventKind::TaskStarted {
            self.started(id, event, broken);
        } else {
            self.moved(id, event, broken);
        }
    }

    fn submitted(&mut self, id: TaskId, event: &Event, broken: &mut Vec<String>) {
        if self.tasks.last_key_value().is_some_and(|(last, _)| *last >= id) {
            broken.push(format!("the id of {id} is not above all before"));
        }
        let to = event.moved.map(|moved| moved.to);
        if !matches!(to, Some(TaskState::Scheduled | TaskState::Queued)) {
            broken.push(format!("{id} is born as {to:?}"));
        }
        let Some(asked) = self.asked.get(&id) else {
            broken.push(format!("nobody asked for {id}"));
            return;
        };
        let task = Seen {
            state: to.unwrap_or(TaskState::Queued),
            attempt: 0,
            failures: 0,
            agent: None,
            queue: asked.queue.clone(),
            completed_by: None,
            is_cancel_requested: false,
            attempts_max: asked.attempts_max,
            requires: asked.requires.clone(),
            pinned: asked.agent_id,
            timeouts: asked.timeouts,
            closes_at: asked.timeouts.close_deadline(event.at),
            started_at: event.at,
            promised_until: None,
        };
        self.tasks.insert(id, task);
    }

    fn started(&mut self, id: TaskId, event: &Event, broken: &mut Vec<String>) {
        let Some(agent) = event.agent else {
            broken.push(format!("{id} is begun by nobody"));
            return;
        };
        let (held, seen) = (self.working(agent), self.agents.get(&agent).cloned().unwrap_or_default());
        if held >= seen.capacity {
            broken.push(format!("{agent} holds {held} of {} and begins {id}", seen.capacity));
        }
        if seen.is_draining || seen.is_gone {
            broken.push(format!("{agent} drains or is gone and begins {id}"));
        }
        let Some(task) = self.tasks.get(&id) else {
            broken.push(format!("{id} is begun and was never submitted"));
            return;
        };
        if !task.requires.is_subset(&seen.capabilities) || task.pinned.is_some_and(|pinned| pinned != agent) {
            broken.push(format!("{agent} begins {id}, which is not for it"));
        }
        let in_queue = self
            .tasks
            .values()
            .filter(|one| one.state == TaskState::Working && one.queue == task.queue)
            .count();
        if let Some(why) = self.refusal(&task.queue, in_queue, event.at) {
            broken.push(format!("{id} begins in {}, {why}", task.queue));
        }
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if task.state != TaskState::Queued {
            broken.push(format!("{id} is begun from {:?}", task.state));
        }
        if event.attempt != Some(task.attempt + 1) {
            broken.push(format!("{id} is begun as {:?} after attempt {}", event.attempt, task.attempt));
        }
        task.state = TaskState::Working;
        task.attempt = event.attempt.unwrap_or(task.attempt);
        (task.agent, task.promised_until, task.started_at) = (Some(agent), None, event.at);
    }

    /// Why a queue may not begin one more: what it said all the time since a change could last be unheard of.
    fn refusal(&self, queue: &Name, working: usize, at: Timestamp) -> Option<String> {
        let changes = &self.queues.get(queue)?.changes;
        let heard = at.minus_ms(HEARD_MS);
        let before = changes.iter().rev().find(|(when, _)| *when <= heard).map(|(_, how)| *how);
        let mut ways: Vec<QueueChanged> = vec![before.unwrap_or_default()];
        ways.extend(changes.iter().filter(|(when, _)| *when > heard).map(|(_, how)| *how));
        if ways.iter().all(|way| way.is_paused) {
            return Some("which is paused".to_owned());
        }
        let limits: Option<Vec<u32>> = ways.iter().map(|way| way.concurrency_limit).collect();
        let most = limits?.into_iter().max()?;
        (u32::try_from(working).unwrap_or(u32::MAX) >= most)
            .then(|| format!("where {working} work and {most} may"))
    }

    fn moved(&mut self, id: TaskId, event: &Event, broken: &mut Vec<String>) {
        let Some(task) = self.tasks.get_mut(&id) else {
            broken.push(format!("{id} was never submitted"));
            return;
        };
        if event.kind == EventKind::TaskCancelRequested {
            if task.state != TaskState::Working {
                broken.push(format!("the holder of {id} is asked to end, which is {:?}", task.state));
            }
            task.is_cancel_requested = true;
            return;
        }
        let Some(moved) = event.moved else { return };
        if moved.from != Some(task.state) {
            broken.push(format!("{id} moves from {:?} and was {:?}", moved.from, task.state));
        }
        if !is_legal(event.kind, task.state, moved.to) {
            broken.push(format!("{id} may not go from {:?} to {:?}", task.state, moved.to));
        }
        if task.state == TaskState::Working && moved.to != TaskState::Working {
            if event.attempt != Some(task.attempt) {
                broken
                    .push(format!("attempt {:?} of {id} ends and {} holds it", event.attempt, task.attempt));
            }
            let is_refused = self.not_retryable.contains(&(id, task.attempt));
            task.ended(id, event, is_refused, broken);
        }
        if event.kind == EventKind::TaskRedriven {
            (task.failures, task.is_cancel_requested) = (0, false);
            task.closes_at = task.timeouts.close_deadline(event.at);
        }
        if moved.to == TaskState::Completed {
            if let Some(first) = task.completed_by {
                broken.push(format!("{id} is completed by {first} and again by {}", task.attempt));
            }
            task.completed_by = Some(task.attempt);
        }
        task.state = moved.to;
    }
}

impl Seen {
    /// An attempt of it ends: the lease held as long as was said, and what is charged is right.
    fn ended(&mut self, id: TaskId, event: &Event, is_refused: bool, broken: &mut Vec<String>) {
        let outcome = said(event, "outcome").unwrap_or("succeeded");
        let is_taken = matches!(outcome, "lease_lost" | "timed_out");
        let is_asked = self.is_cancel_requested;
        if is_taken && !is_asked && self.promised_until.is_some_and(|until| event.at < until) {
            broken.push(format!("the lease of {id} is taken before its time"));
        }
        if is_asked {
            return;
        }
        let is_closed = self.closes_at.is_some_and(|closes_at| closes_at <= event.at);
        match event.kind {
            EventKind::TaskRetrying => {
                self.failures += 1;
                if self.failures >= self.attempts_max || is_refused && outcome == "failed" {
                    broken.push(format!("{id} is tried again after {} failures", self.failures));
                }
            }
            EventKind::TaskFailed => {
                self.failures += 1;
                let is_due = self.failures >= self.attempts_max || is_refused || is_closed;
                if !is_due {
                    broken.push(format!("{id} is given up after {} failures", self.failures));
                }
            }
            EventKind::TaskCanceled if outcome != "canceled" => {
                broken.push(format!("{id} is canceled and nobody asked for it"));
            }
            _ => {}
        }
    }
}

/// Which move an event of a kind may tell of.
fn is_legal(kind: EventKind, from: TaskState, to: TaskState) -> bool {
    use TaskState::{Canceled, Completed, Failed, Queued, Scheduled, Working};
    match kind {
        EventKind::TaskQueued => (from, to) == (Scheduled, Queued),
        EventKind::TaskCompleted => (from, to) == (Working, Completed),
        EventKind::TaskRetrying => (from, to) == (Working, Scheduled),
        EventKind::TaskReleased => (from, to) == (Working, Queued),
        EventKind::TaskRedriven => (from, to) == (Failed, Queued),
        EventKind::TaskFailed => !from.is_terminal() && to == Failed,
        EventKind::TaskCanceled => !from.is_terminal() && to == Canceled,
        EventKind::TaskUpdated => from == to && !from.is_terminal(),
        _ => false,
    }
}

/// A word of an event's JSON.
fn said<'a>(event: &'a Event, key: &str) -> Option<&'a str> {
    let (_, rest) = event.data.split_once(&format!("\"{key}\":\""))?;
    rest.split('"').next()
}

/// An event as the history shows it.
fn line(event: &Event) -> String {
    let mut line = format!("#{} {}", event.seq, event.kind.as_str());
    if let Some(task) = event.task {
        line += &format!(" {task}");
    }
    if let Some(attempt) = event.attempt {
        line += &format!(":{attempt}");
    }
    if let Some(agent) = event.agent {
        line += &format!(" {agent}");
    }
    line + " " + &event.data
}
