//! A batch of the writer on SQLite, as a busy hive has it: 64 tasks are submitted, 64 claimed for eight agents, and the 64
//! that were claimed by the batch before are finished; one transaction, through the queue and the loop of the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use domain::{
    AcceptedTask, Agent, AgentId, Health, IdGenerator, Labels, LaneId, Link, Name, NewAgent, NewTask, Report,
    TaskId, TenantId, Timestamp, limits,
};
use store::command::{ClaimTasks, FinishAttempt, RegisterAgent, Reporter, SubmitTask};
use store::outcome::{Finished, Submitted};
use store::port::BatchWriter;
use store::{Clock, OpenOptions, Store, Threads, Timeouts, Turn};
use tempfile::TempDir;

use crate::Round;

const TENANT: TenantId = TenantId::DEFAULT;
/// Tasks of a batch that are submitted, claimed and finished.
const TASKS: usize = 64;
const AGENTS: usize = 8;
/// Eight tasks each.
const CLAIMED_BY_AN_AGENT: u32 = 8;
const LEASE_TTL_MS: u64 = 30_000;
/// 2026-06-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp::from_micros(1_780_272_000_000_000);

pub fn prepare() -> Result<Round> {
    let mut bench = Bench::open()?;
    Ok(Box::new(move || bench.round()))
}

/// A store in a folder of its own.
struct Bench {
    writer: Box<dyn BatchWriter>,
    store: Store,
    clock: Clock,
    ids: IdGenerator,
    agents: Vec<AgentId>,
    /// What the batch before claimed.
    working: Vec<TaskId>,
    _folder: TempDir,
}

/// What the answers to a batch said.
#[derive(Default)]
struct Tally {
    accepted: AtomicUsize,
    claimed: AtomicUsize,
    finished: AtomicUsize,
}

impl Bench {
    fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let clock = Clock::stopped_at(BEGIN);
        let timeouts = Timeouts { slow: Duration::MAX, ..Timeouts::default() };
        let options = OpenOptions { threads: Threads::Callers, timeouts, ..OpenOptions::new(folder.path()) };
        let store = store::open_at(&options, clock.clone())?;
        let writer = store.writer_loop.open()?;
        let (ids, agents, working) = (IdGenerator::new(0, 0), Vec::new(), Vec::new());
        let mut bench = Self { writer, store, clock, ids, agents, working, _folder: folder };
        for number in 0..AGENTS {
            bench.register(number)?;
        }
        Ok(bench)
    }

    fn next_id(&mut self) -> i64 {
        self.ids.next_raw(self.clock.now())
    }

    fn register(&mut self, number: usize) -> Result<()> {
        let asked = NewAgent {
            name: format!("worker-{number}").parse()?,
            role: "coder".parse()?,
            capabilities: [].into(),
            capacity: CLAIMED_BY_AN_AGENT,
            labels: Labels::new(),
            link: Link::Worker,
        };
        let id = AgentId::from_raw(self.next_id());
        let agent = Agent {
            id,
            tenant: TENANT,
            asked,
            is_draining: false,
            health: Health::Active,
            created_at: Timestamp::ZERO,
        };
        self.agents.push(id);
        let command = RegisterAgent { agent, key: None, correlation_id: "req-register".into() };
        self.store.writer.send(command, drop)?;
        self.commit()
    }

    fn commit(&mut self) -> Result<()> {
        let turn = self.store.writer_loop.turn(&mut *self.writer);
        ensure!(turn == Turn::Committed, "the batch was not committed: {turn:?}");
        Ok(())
    }

    /// One batch.
    fn round(&mut self) -> Result<()> {
        self.clock.advance_ms(20);
        let tally = Arc::new(Tally::default());
        let ended = std::mem::take(&mut self.working);
        let expected = ended.len();
        for _ in 0..TASKS {
            let task = TaskId::from_raw(self.next_id());
            self.submit(task, &tally)?;
            self.working.push(task);
        }
        for agent in &self.agents {
            self.claim(*agent, &tally)?;
        }
        // Tasks are claimed in the order of their submits, by one agent after the other.
        for (agent, tasks) in self.agents.iter().zip(ended.chunks(TASKS / AGENTS)) {
            for task in tasks {
                self.finish(*task, *agent, &tally)?;
            }
        }
        self.commit()?;
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        let (accepted, claimed, finished) =
            (count(&tally.accepted), count(&tally.claimed), count(&tally.finished));
        ensure!(
            (accepted, claimed, finished) == (TASKS, TASKS, expected),
            "{accepted} tasks were accepted, {claimed} claimed, {finished} finished"
        );
        Ok(())
    }

    fn submit(&self, id: TaskId, tally: &Arc<Tally>) -> Result<()> {
        let queue: Name = "default".parse()?;
        let mut asked = NewTask::titled("measure", queue);
        asked.kind = Some("measure".parse()?);
        asked.input = Some(r#"{"text":"the quick brown fox jumps over the lazy dog"}"#.into());
        asked.labels.insert("customer".parse()?, "acme".to_owned());
        let task = AcceptedTask {
            id,
            tenant: TENANT,
            asked,
            created_by: "token".to_owned(),
            correlation_id: "req-submit".into(),
        };
        let command = SubmitTask { task, key: None, eager: None, lease_ttl_ms: LEASE_TTL_MS, has_room: true };
        let tally = Arc::clone(tally);
        self.store.writer.send(command, move |answer| {
            if matches!(answer, Ok(Submitted::Accepted { .. })) {
                tally.accepted.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(())
    }

    fn claim(&self, agent: AgentId, tally: &Arc<Tally>) -> Result<()> {
        let command = ClaimTasks {
            lane: LaneId(1),
            priority: limits::PRIORITY_DEFAULT,
            count: CLAIMED_BY_AN_AGENT,
            agent,
            lease_ttl_ms: LEASE_TTL_MS,
            behind: Vec::new(),
        };
        let tally = Arc::clone(tally);
        self.store.writer.send(command, move |answer| {
            tally.claimed.fetch_add(answer.map_or(0, |claimed| claimed.len()), Ordering::Relaxed);
        })?;
        Ok(())
    }

    fn finish(&self, task: TaskId, agent: AgentId, tally: &Arc<Tally>) -> Result<()> {
        let command = FinishAttempt {
            task,
            attempt: 1,
            report: Report::Succeeded { result: Some(r#"{"words":9}"#.to_owned()), usage: None },
            workspace: None,
            chance: 0.5,
            correlation_id: "req-finish".into(),
            reporter: Some(Reporter { tenant: TENANT, agent: Some(agent) }),
        };
        let tally = Arc::clone(tally);
        self.store.writer.send(command, move |answer| {
            if matches!(answer, Ok(Finished::Done { .. })) {
                tally.finished.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(())
    }
}
