//! What a test does to a store, in a line each.
//!
//! Invariant checked at every batch: `seq` has no gap.

use std::future::Future;
use std::sync::Arc;

use domain::{
    AcceptedTask, Agent, AgentId, AttemptError, Event, EventKind, Health, IdGenerator, Labels, LaneId,
    LaneSpec, Link, Name, NewAgent, NewTask, ProcessLink, Report, TaskId, TaskState, TenantId, Timestamp,
    WorkspaceReport,
};

use super::Rig;
use crate::command::{
    AgentEdit, ChangeAgent, Chore, ClaimTasks, Command, FinishAttempt, RegisterAgent, SubmitTask, Sweep,
    Write,
};
use crate::error::{ReadError, WriteError};
use crate::outcome::{AgentChange, ClaimedTask, Finished, Registered, Submitted, Swept};
use crate::port::Committed;
use crate::readers::Readers;
use crate::record::TaskRecord;

/// The tenant of most tests.
pub(super) const ME: TenantId = TenantId::DEFAULT;
/// Lease of a task that names no heartbeat timeout.
pub(super) const LEASE_MS: u64 = 30_000;
/// When tests begin: 2026-06-01T00:00:00Z.
pub(super) const BEGIN: Timestamp = Timestamp::from_micros(1_780_272_000_000_000);

/// A store under test, and everything it told of.
pub(super) struct World<R: Rig> {
    pub rig: R,
    pub events: Vec<Event>,
    pub lanes: Vec<(LaneId, Arc<LaneSpec>)>,
    ids: IdGenerator,
    runtime: tokio::runtime::Runtime,
}

impl<R: Rig> World<R> {
    pub fn new() -> Self {
        Self::with_lanes(100)
    }

    pub fn with_lanes(lanes_max: u32) -> Self {
        Self {
            rig: R::with_lanes(lanes_max),
            events: Vec::new(),
            lanes: Vec::new(),
            ids: IdGenerator::new(1, 0),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.rig.clock().now()
    }

    pub fn wait_ms(&self, ms: u64) {
        self.rig.clock().advance_ms(ms);
    }

    pub fn next_id(&mut self) -> i64 {
        let now = self.now();
        self.ids.next_raw(now)
    }

    /// Applies a batch and notes what it told of.
    pub fn batch(&mut self, commands: &[Command]) -> Committed {
        let committed = self.rig.writer().apply_batch(commands);
        for event in &committed.events {
            let last = self.events.last().map_or(0, |event| event.seq);
            assert_eq!(event.seq, last + 1, "seq has a gap before {event:?}");
            self.events.push(event.clone());
        }
        self.lanes.extend(committed.new_lanes.iter().cloned());
        committed
    }

    pub fn try_apply<C: Write>(&mut self, command: C) -> Result<C::Answer, WriteError> {
        let outcome = self.batch(&[command.into()]).outcomes.remove(0)?;
        Ok(C::answer(outcome).expect("an outcome of another command"))
    }

    pub fn apply<C: Write>(&mut self, command: C) -> C::Answer {
        self.try_apply(command).unwrap()
    }

    /// How many events a step tells of.
    pub fn told(&mut self, step: impl FnOnce(&mut Self)) -> Vec<EventKind> {
        let before = self.events.len();
        step(self);
        self.events[before..].iter().map(|event| event.kind).collect()
    }

    pub fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a Readers) -> F) -> T
    where
        F: Future<Output = Result<T, ReadError>> + 'a,
    {
        self.runtime.block_on(question(self.rig.readers())).unwrap()
    }

    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    pub fn task(&self, id: TaskId) -> TaskRecord {
        self.ask(|readers| readers.task(ME, id)).expect("there is such a task").record
    }

    pub fn state(&self, id: TaskId) -> TaskState {
        self.task(id).status.state
    }

    /// A submit of a task that `ask` may shape.
    pub fn submit_command(&mut self, title: &str, ask: impl FnOnce(&mut NewTask)) -> SubmitTask {
        let mut asked = NewTask::titled(title, name("default"));
        ask(&mut asked);
        let task = AcceptedTask {
            id: TaskId::from_raw(self.next_id()),
            tenant: ME,
            asked,
            created_by: "tester".into(),
            correlation_id: "req-1".into(),
        };
        SubmitTask { task, key: None, eager: None, lease_ttl_ms: LEASE_MS, has_room: true }
    }

    pub fn submit_with(&mut self, title: &str, ask: impl FnOnce(&mut NewTask)) -> TaskRecord {
        let command = self.submit_command(title, ask);
        match self.apply(command) {
            Submitted::Accepted { record, claimed: None } => *record,
            other => panic!("{other:?}"),
        }
    }

    pub fn submit(&mut self, title: &str) -> TaskRecord {
        self.submit_with(title, |_| {})
    }

    pub fn agent_with(&mut self, called: &str, ask: impl FnOnce(&mut NewAgent)) -> Registered {
        let mut asked = NewAgent {
            name: name(called),
            role: name("coder"),
            capabilities: [].into(),
            capacity: 10,
            labels: Labels::new(),
            link: Link::Worker,
        };
        ask(&mut asked);
        let agent = Agent {
            id: AgentId::from_raw(self.next_id()),
            tenant: ME,
            asked,
            is_draining: false,
            health: Health::Active,
            created_at: Timestamp::ZERO,
        };
        self.apply(RegisterAgent { agent, key: None, correlation_id: "req-2".into() })
    }

    pub fn agent(&mut self, called: &str) -> AgentId {
        match self.agent_with(called, |_| {}) {
            Registered::Accepted(agent) => agent.id,
            other => panic!("{other:?}"),
        }
    }

    pub fn change_agent(&mut self, agent: AgentId, change: AgentEdit) -> AgentChange {
        self.apply(ChangeAgent { tenant: ME, agent, change, correlation_id: "req-3".into() })
    }

    /// Claims from one lane, highest priority first.
    pub fn claim(&mut self, lane: LaneId, agent: AgentId, count: u32) -> Vec<ClaimedTask> {
        let mut claimed = Vec::new();
        for priority in (0..=9).rev() {
            let left = count - u32::try_from(claimed.len()).unwrap();
            claimed.extend(self.apply(ClaimTasks {
                lane,
                priority,
                count: left,
                agent,
                lease_ttl_ms: LEASE_MS,
                behind: Vec::new(),
            }));
        }
        claimed
    }

    /// An agent that is a process of the hive.
    pub fn process(&mut self, called: &str) -> AgentId {
        match self.agent_with(called, |agent| agent.link = process()) {
            Registered::Accepted(agent) => agent.id,
            other => panic!("{other:?}"),
        }
    }

    /// A task that works, held by a new agent of this name.
    pub fn working_with(&mut self, called: &str, ask: impl FnOnce(&mut NewTask)) -> ClaimedTask {
        let agent = self.agent(called);
        self.working_by(agent, called, ask)
    }

    /// A task that works, held by this agent.
    pub fn working_by(&mut self, agent: AgentId, title: &str, ask: impl FnOnce(&mut NewTask)) -> ClaimedTask {
        let command = self.submit_command(title, ask);
        match self.apply(SubmitTask { eager: Some(agent), ..command }) {
            Submitted::Accepted { claimed: Some(claimed), .. } => *claimed,
            other => panic!("{other:?}"),
        }
    }

    pub fn working(&mut self, called: &str) -> ClaimedTask {
        self.working_with(called, |_| {})
    }

    pub fn finish(&mut self, task: TaskId, attempt: u32, report: Report) -> Finished {
        self.finish_in(task, attempt, report, None)
    }

    /// Ends an attempt that left something in its workspace.
    pub fn finish_in(
        &mut self,
        task: TaskId,
        attempt: u32,
        report: Report,
        workspace: Option<WorkspaceReport>,
    ) -> Finished {
        let correlation_id = "req-4".into();
        let reporter = None;
        self.apply(FinishAttempt { task, attempt, report, workspace, chance: 0.5, correlation_id, reporter })
    }

    pub fn sweep(&mut self, chore: Chore) -> Swept {
        self.apply(Sweep { chore, limit: 100, chance: 0.5 })
    }
}

/// So that a test need not say what a healthy database answers.
trait ApplyBatch {
    fn apply_batch(&mut self, commands: &[Command]) -> Committed;
}

impl<W: crate::port::BatchWriter> ApplyBatch for W {
    fn apply_batch(&mut self, commands: &[Command]) -> Committed {
        let committed = self.apply(commands).expect("the batch is applied");
        assert_eq!(committed.outcomes.len(), commands.len());
        committed
    }
}

pub(super) fn name(word: &str) -> Name {
    word.parse().unwrap()
}

pub(super) fn success() -> Report {
    Report::Succeeded { result: Some(r#"{"ok":true}"#.into()), usage: None }
}

pub(super) fn failure() -> Report {
    Report::Failed {
        error: AttemptError { kind: "broken".into(), message: "it broke".into() },
        retryable: true,
        usage: None,
    }
}

pub(super) fn timed_out() -> Report {
    let error = AttemptError { kind: "start_to_close_timeout".into(), message: "it took too long".into() };
    Report::TimedOut { error, usage: None }
}

pub(super) fn handed_back() -> Report {
    Report::HandedBack { reason: "shutdown", usage: None }
}

/// The link of an agent that is a process, in its simplest form.
pub(super) fn process() -> Link {
    Link::Process(Box::new(ProcessLink { command: vec!["true".into()], ..ProcessLink::default() }))
}
