//! What is known of running work in this process only: signs of life and progress. Latest wins, nothing is stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use domain::{AgentId, TaskId, TenantId, Timestamp, Usage};
use parking_lot::RwLock;
use store::command::Reporter;
use supervision::ActorRef;
use tokio::sync::watch;

use crate::task::TaskActor;

/// When an agent was last heard of, and when it last got on with something. Shared by its actor, its tasks and the
/// sweeper; each value only grows.
#[derive(Debug)]
pub struct Pulse {
    seen_at: AtomicI64,
    progress_at: AtomicI64,
}

impl Pulse {
    /// A pulse that was last seen at `at`; [`Timestamp::ZERO`] for never.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { seen_at: AtomicI64::new(at.as_micros()), progress_at: AtomicI64::new(at.as_micros()) }
    }

    /// A sign of life.
    pub fn saw(&self, now: Timestamp) {
        self.seen_at.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// A sign of life that shows progress.
    pub fn progressed(&self, now: Timestamp) {
        self.saw(now);
        self.progress_at.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// The last sign of life; `None` when there was none in this process.
    #[must_use]
    pub fn seen_at(&self) -> Option<Timestamp> {
        let at = self.seen_at.load(Ordering::Relaxed);
        (at > 0).then(|| Timestamp::from_micros(at))
    }

    /// The last progress; `None` when there was none in this process.
    #[must_use]
    pub fn progress_at(&self) -> Option<Timestamp> {
        let at = self.progress_at.load(Ordering::Relaxed);
        (at > 0).then(|| Timestamp::from_micros(at))
    }
}

/// How far an attempt says it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: Option<f64>,
    /// A short sentence.
    pub message: Option<String>,
    /// When it said so.
    pub at: Timestamp,
}

/// Who holds an attempt, with its signs of life.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Whose agent it is.
    pub tenant: TenantId,
    /// Which agent.
    pub agent: AgentId,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
}

#[derive(Debug)]
struct Running {
    attempt: u32,
    actor: ActorRef<TaskActor>,
    holder: Holder,
    progress: Option<Progress>,
    /// What it has cost so far.
    usage: Option<Usage>,
    /// Whether its holder has given a sign of life since it began here.
    has_signed: AtomicBool,
    /// Which process of the agent holds it, where that came over a session.
    instance: Option<Arc<str>>,
    /// Counts pieces of output; closed when the attempt ends.
    output: watch::Sender<u64>,
}

/// The attempts that run now, by task, each with its actor. It outlives the coordinator, as the actors do.
#[derive(Debug, Default)]
pub struct Board {
    running: RwLock<HashMap<TaskId, Running>>,
}

impl Board {
    /// Whether this attempt, or a later one of the same task, is on the board.
    #[must_use]
    pub fn has(&self, task: TaskId, attempt: u32) -> bool {
        self.running.read().get(&task).is_some_and(|there| there.attempt >= attempt)
    }

    /// An attempt begins or is taken up again. Answers the actor of an older one, which has to end.
    pub fn begin(
        &self,
        task: TaskId,
        attempt: u32,
        actor: ActorRef<TaskActor>,
        holder: Holder,
    ) -> Option<ActorRef<TaskActor>> {
        let entry = Running {
            attempt,
            actor,
            holder,
            progress: None,
            usage: None,
            has_signed: AtomicBool::new(false),
            instance: None,
            output: watch::Sender::new(0),
        };
        self.running.write().insert(task, entry).map(|older| older.actor)
    }

    /// An attempt has ended; a newer one of the same task stays. Answers its actor, which has to end.
    pub fn end(&self, task: TaskId, attempt: u32) -> Option<ActorRef<TaskActor>> {
        let mut running = self.running.write();
        if running.get(&task).is_some_and(|there| there.attempt <= attempt) {
            return running.remove(&task).map(|there| there.actor);
        }
        None
    }

    /// Takes away all tasks but these; answers their actors, which have to end.
    pub fn keep_only(&self, tasks: &HashSet<TaskId>) -> Vec<ActorRef<TaskActor>> {
        let gone = self.running.write().extract_if(|task, _| !tasks.contains(task)).collect::<Vec<_>>();
        gone.into_iter().map(|(_, there)| there.actor).collect()
    }

    /// The actor of an attempt.
    #[must_use]
    pub fn actor(&self, task: TaskId, attempt: u32) -> Option<ActorRef<TaskActor>> {
        let running = self.running.read();
        running.get(&task).filter(|there| there.attempt == attempt).map(|there| there.actor.clone())
    }

    /// The actor of an attempt, for somebody who may report about it.
    #[must_use]
    pub fn actor_for(&self, task: TaskId, attempt: u32, reporter: Reporter) -> Option<ActorRef<TaskActor>> {
        let running = self.running.read();
        let there = running.get(&task).filter(|there| there.attempt == attempt)?;
        let Holder { tenant, agent, .. } = there.holder;
        let is_theirs = reporter.tenant == tenant && reporter.agent.is_none_or(|own| own == agent);
        is_theirs.then(|| there.actor.clone())
    }

    /// Notes which process of `agent` holds an attempt. Answers the actor; `None` where another agent holds it.
    #[must_use]
    pub fn held_by(
        &self,
        task: TaskId,
        attempt: u32,
        agent: AgentId,
        instance: &Arc<str>,
    ) -> Option<ActorRef<TaskActor>> {
        let mut running = self.running.write();
        let there = running.get_mut(&task)?;
        if there.attempt != attempt || there.holder.agent != agent {
            return None;
        }
        there.instance = Some(Arc::clone(instance));
        Some(there.actor.clone())
    }

    /// What a process of an agent holds, as far as it came over its sessions, in the order of the tasks' ids.
    #[must_use]
    pub fn holdings(&self, agent: AgentId, instance: &str) -> Vec<(TaskId, u32)> {
        let running = self.running.read();
        let is_its = |there: &Running| {
            there.holder.agent == agent && there.instance.as_deref().is_some_and(|own| own == instance)
        };
        let its = running.iter().filter(|(_, there)| is_its(there));
        let mut holdings: Vec<_> = its.map(|(task, there)| (*task, there.attempt)).collect();
        drop(running);
        holdings.sort_unstable();
        holdings
    }

    /// Whether the holder of an attempt has given a sign of life, or it runs no more.
    #[must_use]
    pub fn has_signed(&self, task: TaskId, attempt: u32) -> bool {
        let running = self.running.read();
        let there = running.get(&task).filter(|there| there.attempt == attempt);
        there.is_none_or(|there| there.has_signed.load(Ordering::Relaxed))
    }

    /// The actor of a task's present attempt.
    #[must_use]
    pub fn present_actor(&self, task: TaskId) -> Option<ActorRef<TaskActor>> {
        self.running.read().get(&task).map(|there| there.actor.clone())
    }

    /// The holder of an attempt shows a sign of life, with or without progress.
    pub fn report(&self, task: TaskId, attempt: u32, progress: Option<Progress>, now: Timestamp) {
        let mut running = self.running.write();
        let Some(there) = running.get_mut(&task).filter(|there| there.attempt == attempt) else { return };
        there.has_signed.store(true, Ordering::Relaxed);
        match progress {
            Some(progress) => {
                there.holder.pulse.progressed(now);
                there.progress = Some(progress);
            }
            None => there.holder.pulse.saw(now),
        }
    }

    /// The holder of an attempt says what it has cost so far.
    pub fn spent(&self, task: TaskId, attempt: u32, usage: Usage) {
        let mut running = self.running.write();
        if let Some(there) = running.get_mut(&task).filter(|there| there.attempt == attempt) {
            there.usage = Some(usage);
        }
    }

    /// What an attempt has cost, as its holder last said.
    #[must_use]
    pub fn usage(&self, task: TaskId, attempt: u32) -> Option<Usage> {
        self.running.read().get(&task).filter(|there| there.attempt == attempt)?.usage
    }

    /// The holder of an attempt gets on: output came.
    pub fn progressed(&self, task: TaskId, attempt: u32, now: Timestamp) {
        let running = self.running.read();
        if let Some(there) = running.get(&task).filter(|there| there.attempt == attempt) {
            there.has_signed.store(true, Ordering::Relaxed);
            there.holder.pulse.progressed(now);
        }
    }

    /// Output of an attempt is stored: who follows it looks again.
    pub fn output_stored(&self, task: TaskId, attempt: u32) {
        let running = self.running.read();
        if let Some(there) = running.get(&task).filter(|there| there.attempt == attempt) {
            there.output.send_modify(|count| *count += 1);
        }
    }

    /// Changes when output of the running attempt is stored, closed when that ends; `None` when none runs here.
    #[must_use]
    pub fn follow_output(&self, task: TaskId) -> Option<watch::Receiver<u64>> {
        self.running.read().get(&task).map(|there| there.output.subscribe())
    }

    /// How many attempts are on the board.
    #[must_use]
    pub fn count(&self) -> usize {
        self.running.read().len()
    }

    /// All actors, in no order.
    #[must_use]
    pub fn actors(&self) -> Vec<ActorRef<TaskActor>> {
        self.running.read().values().map(|there| there.actor.clone()).collect()
    }

    /// What the present attempt of a task last said.
    #[must_use]
    pub fn progress(&self, task: TaskId) -> Option<Progress> {
        self.running.read().get(&task).and_then(|there| there.progress.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reference to an actor that was never started.
    fn nobody() -> ActorRef<TaskActor> {
        supervision::ChildSpec::<TaskActor>::new("nobody", || unreachable!()).actor_ref()
    }

    const AGENT: AgentId = AgentId::from_raw(7);

    fn held_by(pulse: &Arc<Pulse>) -> Holder {
        Holder { tenant: TenantId::DEFAULT, agent: AGENT, pulse: Arc::clone(pulse) }
    }

    #[test]
    fn only_its_holder_and_those_who_speak_for_all_of_the_tenant_find_an_attempt() {
        let (board, task) = (Board::default(), TaskId::from_raw(1));
        board.begin(task, 2, nobody(), held_by(&Arc::new(Pulse::new(Timestamp::ZERO))));
        let finds =
            |attempt, tenant, agent| board.actor_for(task, attempt, Reporter { tenant, agent }).is_some();
        assert!(finds(2, TenantId::DEFAULT, Some(AGENT)) && finds(2, TenantId::DEFAULT, None));
        assert!(!finds(2, TenantId::DEFAULT, Some(AgentId::from_raw(8))));
        assert!(!finds(2, TenantId(2), Some(AGENT)) && !finds(2, TenantId(2), None));
        assert!(!finds(1, TenantId::DEFAULT, Some(AGENT)));
    }

    #[test]
    fn what_a_process_of_an_agent_holds_is_found_again_by_its_name() {
        let (board, one, two) = (Board::default(), TaskId::from_raw(1), TaskId::from_raw(2));
        let pulse = Arc::new(Pulse::new(Timestamp::ZERO));
        let instance: Arc<str> = Arc::from("host-1");
        for task in [two, one] {
            board.begin(task, 1, nobody(), held_by(&pulse));
            assert!(board.held_by(task, 1, AGENT, &instance).is_some());
        }
        assert!(board.held_by(one, 2, AGENT, &instance).is_none(), "no such attempt");
        assert!(board.held_by(one, 1, AgentId::from_raw(8), &instance).is_none(), "another agent's");
        assert_eq!(board.holdings(AGENT, "host-1"), [(one, 1), (two, 1)]);
        assert_eq!(board.holdings(AGENT, "host-2"), []);
        board.end(one, 1);
        assert_eq!(board.holdings(AGENT, "host-1"), [(two, 1)]);
    }

    #[test]
    fn a_heartbeat_or_output_is_a_sign_of_life_and_what_is_over_needs_none() {
        let (board, one, two) = (Board::default(), TaskId::from_raw(1), TaskId::from_raw(2));
        let pulse = Arc::new(Pulse::new(Timestamp::ZERO));
        for task in [one, two] {
            board.begin(task, 2, nobody(), held_by(&pulse));
            assert!(!board.has_signed(task, 2) && board.has_signed(task, 1));
        }
        board.report(one, 2, None, Timestamp::ZERO);
        board.progressed(two, 2, Timestamp::ZERO);
        assert!(board.has_signed(one, 2) && board.has_signed(two, 2));
    }

    #[test]
    fn an_ended_attempt_takes_neither_reports_nor_the_place_of_a_newer_one() {
        let board = Board::default();
        let (task, pulse) = (TaskId::from_raw(1), Arc::new(Pulse::new(Timestamp::ZERO)));
        let now = Timestamp::from_micros(5);
        let half = Progress { fraction: Some(0.5), message: None, at: now };
        board.begin(task, 2, nobody(), held_by(&pulse));
        board.report(task, 1, Some(half.clone()), now);
        assert_eq!((board.progress(task), pulse.seen_at()), (None, None));
        assert!(board.end(task, 1).is_none(), "an older attempt's end");
        board.report(task, 2, Some(half.clone()), now);
        assert_eq!((board.progress(task), pulse.progress_at()), (Some(half), Some(now)));
        assert!(board.end(task, 2).is_some());
        assert_eq!(board.progress(task), None);
    }

    #[test]
    fn who_follows_output_hears_of_each_piece_and_of_the_end() {
        let (board, task) = (Board::default(), TaskId::from_raw(1));
        assert!(board.follow_output(task).is_none());
        board.begin(task, 1, nobody(), held_by(&Arc::new(Pulse::new(Timestamp::ZERO))));
        let follower = board.follow_output(task).unwrap();
        board.output_stored(task, 2);
        assert!(!follower.has_changed().unwrap(), "another attempt's");
        board.output_stored(task, 1);
        assert!(follower.has_changed().unwrap());
        board.end(task, 1);
        assert!(follower.has_changed().is_err(), "closed");
    }

    #[test]
    fn a_newer_attempt_replaces_the_older_and_says_whose_actor_has_to_end() {
        let (board, task) = (Board::default(), TaskId::from_raw(1));
        let pulse = Arc::new(Pulse::new(Timestamp::ZERO));
        assert!(board.begin(task, 1, nobody(), held_by(&pulse)).is_none());
        assert!(board.begin(task, 2, nobody(), held_by(&pulse)).is_some());
        assert!(board.has(task, 1) && board.has(task, 2) && !board.has(task, 3));
        assert!(board.actor(task, 1).is_none() && board.actor(task, 2).is_some());
        assert_eq!(board.keep_only(&HashSet::new()).len(), 1);
        assert!(board.present_actor(task).is_none());
    }
}
