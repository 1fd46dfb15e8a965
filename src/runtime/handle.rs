//! The runtime as the layers above see it: one method a command, outcomes in domain terms, never a mailbox.

pub mod keys;
mod links;
mod performance;
pub mod sessions;
pub mod waits;

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Agent, AgentId, Health, Labels, Limits, Name, NewAgent, NewTask, Report, TaskId, Timestamp, Usage,
};
use store::command::{
    AgentEdit, AppendOutput, CancelTask, ChangeAgent, ChangeQueue, FinishAttempt, IdempotencyKey, PatchTask,
    QueueEdit, RedriveTask, RegisterAgent, RenewLease, Write,
};
use store::outcome::{
    AgentChange, Appended, Canceled, Finished, Patched, QueueChanged, Redriven, Registered, Renewed,
    Submitted,
};
use supervision::{ActorRef, CallError};
use tokio::sync::oneshot;

use crate::agent::{Lease, LeaseCall, LeaseGrant};
use crate::board::Progress;
use crate::caller::Caller;
use crate::coordinator::{
    Apply, Coordinator, Finish, RefreshAgent, RefreshQueues, RestartAgent, SubmitMany, SubmitTask,
    SubmittedMany,
};
use crate::directory::Seat;
use crate::error::Error;
use crate::shared::{Phase, SharedRef, chance};
use crate::task::Beat;

/// How long a caller is kept waiting at most. A caller that waits longer than this is better served by an error.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);
/// As [`ANSWER_WITHIN`], for up to 1,000 tasks with up to 16 MiB of input.
const ANSWER_MANY_WITHIN: Duration = Duration::from_secs(5);
/// How long a read waits for the projection to catch up; it lags a moment, or its actor is being restarted.
const SETTLED_WITHIN: Duration = Duration::from_millis(100);
/// How much longer than its own wait a lease call may take until it is given up.
const LEASE_SLACK: Duration = Duration::from_secs(5);

/// How far an attempt says it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProgressReport {
    /// From 0 to 1.
    pub fraction: Option<f64>,
    /// A short sentence.
    pub message: Option<String>,
    /// What the attempt has cost so far.
    pub usage: Option<Usage>,
}

/// A piece of what an attempt writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// The text, at most 64 KiB.
    pub text: Arc<str>,
    /// How much of the attempt's output its sender knows to be stored, in bytes; where more is, this piece came before.
    pub after_bytes: Option<u64>,
}

/// The runtime. Cheap to clone, for every thread.
#[derive(Clone)]
pub struct RuntimeHandle {
    pub(crate) shared: SharedRef,
    pub(crate) coordinator: ActorRef<Coordinator>,
}

impl RuntimeHandle {
    /// Submits a task; answered once it is stored.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn submit(
        &self,
        caller: &Caller,
        asked: NewTask,
        key: Option<IdempotencyKey>,
    ) -> Result<Submitted, Error> {
        let (reply, answer) = oneshot::channel();
        self.coordinator.tell(SubmitTask { caller: caller.clone(), asked, key, reply })?;
        within(ANSWER_WITHIN, answer).await
    }

    /// Submits many tasks; answered, each by itself, once all that are accepted are stored in one commit.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn submit_many(
        &self,
        caller: &Caller,
        asked: Vec<(NewTask, Option<IdempotencyKey>)>,
    ) -> Result<SubmittedMany, Error> {
        self.shared.refuse_unless_serving()?;
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.coordinator.tell(SubmitMany { caller: caller.clone(), asked, reply })?;
        within(ANSWER_MANY_WITHIN, answer).await
    }

    /// Ends an attempt as its holder reports.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish(
        &self,
        caller: &Caller,
        task: TaskId,
        attempt: u32,
        mut report: Report,
    ) -> Result<Finished, Error> {
        let usage = report.usage_mut();
        if usage.is_none() {
            *usage = self.shared.board.usage(task, attempt);
        }
        let is_theirs = self.shared.board.actor_for(task, attempt, caller.reporter()).is_some();
        if is_theirs {
            // A sign of life, also where it cannot be stored at present.
            self.shared.board.report(task, attempt, None, self.shared.clock.now());
        }
        let command = FinishAttempt {
            task,
            attempt,
            report,
            workspace: None,
            chance: chance(),
            correlation_id: Arc::clone(&caller.correlation_id),
            reporter: Some(caller.reporter()),
        };
        if !is_theirs || self.shared.phase() == Phase::Starting {
            return self.apply(command).await;
        }
        let (reply, answer) = oneshot::channel();
        self.coordinator.tell(Finish { command, reply })?;
        within(ANSWER_WITHIN, answer).await
    }

    /// The holder of an attempt is alive; answers the stored expiry of its lease and whether it should end.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        task: TaskId,
        attempt: u32,
        progress: ProgressReport,
    ) -> Result<Renewed, Error> {
        let now = self.shared.clock.now();
        let is_said = progress.fraction.is_some() || progress.message.is_some();
        let said =
            is_said.then_some(Progress { fraction: progress.fraction, message: progress.message, at: now });
        let reporter = caller.reporter();
        // Whoever is not the holder goes on to the store, which tells it so.
        if let Some(actor) = self.shared.board.actor_for(task, attempt, reporter) {
            self.shared.board.report(task, attempt, said, now);
            if let Some(usage) = progress.usage {
                self.shared.board.spent(task, attempt, usage);
            }
            let (reply, answer) = oneshot::channel();
            match actor.tell(Beat { reply }) {
                Ok(()) => return within(ANSWER_WITHIN, answer).await,
                Err(CallError::Full { .. }) => return Err(Error::Overloaded),
                // It was given up, or the attempt has just ended.
                Err(_) => {}
            }
        }
        let renewed = self.apply(RenewLease { task, attempt, reporter: Some(reporter) }).await?;
        let word = if matches!(renewed, Renewed::Until { .. }) { "renewed" } else { "stale" };
        self.shared.metrics.heartbeats.with_label_values(&[word]).inc();
        Ok(renewed)
    }

    /// Stores output of a working attempt.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn append_output(
        &self,
        caller: &Caller,
        task: TaskId,
        attempt: u32,
        piece: OutputPiece,
    ) -> Result<Appended, Error> {
        let reporter = caller.reporter();
        if self.shared.board.actor_for(task, attempt, reporter).is_some() {
            self.shared.board.progressed(task, attempt, self.shared.clock.now());
        }
        let bytes_max = self.shared.settings.limits.output_bytes_max;
        let OutputPiece { text, after_bytes } = piece;
        let (follows_cut, reporter) = (false, Some(reporter));
        let command = AppendOutput { task, attempt, text, bytes_max, follows_cut, after_bytes, reporter };
        let appended = self.apply(command).await?;
        if matches!(appended, Appended::Done { .. }) {
            self.shared.board.output_stored(task, attempt);
        }
        Ok(appended)
    }

    /// Cancels a task, or asks its holder to end.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, caller: &Caller, task: TaskId, force: bool) -> Result<Canceled, Error> {
        let grace_ms = self.shared.settings.cancel_grace_ms;
        let correlation_id = Arc::clone(&caller.correlation_id);
        self.apply(CancelTask { tenant: caller.tenant, task, force, grace_ms, correlation_id }).await
    }

    /// Puts a dead letter back.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn redrive(&self, caller: &Caller, task: TaskId) -> Result<Redriven, Error> {
        let correlation_id = Arc::clone(&caller.correlation_id);
        self.apply(RedriveTask { tenant: caller.tenant, task, correlation_id }).await
    }

    /// Changes priority or labels of a task.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_task(
        &self,
        caller: &Caller,
        task: TaskId,
        priority: Option<u8>,
        labels: Option<Labels>,
    ) -> Result<Patched, Error> {
        let correlation_id = Arc::clone(&caller.correlation_id);
        self.apply(PatchTask { tenant: caller.tenant, task, priority, labels, correlation_id }).await
    }

    /// Registers an agent; when the answer comes, it can take work.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn register_agent(
        &self,
        caller: &Caller,
        asked: NewAgent,
        key: Option<IdempotencyKey>,
    ) -> Result<Registered, Error> {
        self.shared.refuse_unless_serving()?;
        let now = self.shared.clock.now();
        let agent = Agent {
            id: self.shared.next_agent_id(),
            tenant: caller.tenant,
            is_draining: false,
            // A worker has to show itself first; what the hive starts itself is there.
            health: if asked.link.process().is_some() { Health::Active } else { Health::Offline },
            asked,
            created_at: now,
        };
        let correlation_id = Arc::clone(&caller.correlation_id);
        let registered = self.apply(RegisterAgent { agent, key, correlation_id }).await?;
        if let Registered::Accepted(agent) = &registered {
            self.refresh(caller, agent.id).await;
        }
        Ok(registered)
    }

    /// Changes, drains, resumes or removes an agent; when the answer comes, the next lease call finds it so.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn change_agent(
        &self,
        caller: &Caller,
        agent: AgentId,
        change: AgentEdit,
    ) -> Result<AgentChange, Error> {
        let correlation_id = Arc::clone(&caller.correlation_id);
        let command = ChangeAgent { tenant: caller.tenant, agent, change, correlation_id };
        let changed = self.apply(command).await?;
        if matches!(changed, AgentChange::Done(_)) {
            self.refresh(caller, agent).await;
        }
        Ok(changed)
    }

    /// Begins an agent's actor anew; answers whether there is such an agent.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restart_agent(&self, caller: &Caller, agent: AgentId) -> Result<bool, Error> {
        self.shared.refuse_unless_serving()?;
        if self.seat(caller, agent).await?.is_none() {
            return Ok(false);
        }
        let restart = RestartAgent { caller: caller.clone(), agent };
        let is_known = self.coordinator.ask_within(restart, LEASE_SLACK).await?;
        self.refresh(caller, agent).await;
        Ok(is_known)
    }

    /// Pauses or resumes a queue or limits how many of its tasks are worked on at a time; when the answer comes, every
    /// plan from then on keeps to it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn change_queue(
        &self,
        caller: &Caller,
        queue: Name,
        edit: QueueEdit,
    ) -> Result<QueueChanged, Error> {
        let correlation_id = Arc::clone(&caller.correlation_id);
        let command = ChangeQueue { tenant: caller.tenant, queue, edit, correlation_id };
        let changed = self.apply(command).await?;
        if let Err(error) = self.coordinator.ask_within(RefreshQueues, ANSWER_WITHIN).await {
            tracing::debug!(%error, "the coordinator sees a change of a queue later");
        }
        Ok(changed)
    }

    /// Asks for assignments; `None` when there is no such agent, or the caller is
    /// another one. Dropping the future or the grant hands back what was
    /// claimed for it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lease(
        &self,
        caller: &Caller,
        agent: AgentId,
        call: LeaseCall,
    ) -> Result<Option<LeaseGrant>, Error> {
        self.shared.refuse_unless_serving()?;
        if caller.agent.is_some_and(|own| own != agent) {
            return Ok(None);
        }
        let Some(seat) = self.seat(caller, agent).await? else { return Ok(None) };
        let patience = call.wait + LEASE_SLACK;
        let (reply, answer) = oneshot::channel();
        seat.actor.tell(Lease { tenant: caller.tenant, call, reply })?;
        within(patience, answer).await
    }

    /// Waits until the projection has everything that is committed by now, so that whoever was answered reads it, too.
    pub async fn settled(&self) {
        let committed = self.shared.writer.committed_seq();
        if self.shared.feed.seq() < committed {
            self.shared.feed.caught_up(committed, SETTLED_WITHIN).await;
        }
    }

    /// The last event that is committed, and how many commands wait for the writer.
    #[must_use]
    pub fn writer_pulse(&self) -> (i64, usize) {
        (self.shared.writer.committed_seq(), self.shared.writer.depth())
    }

    /// Whether the database is open for writing: not while it is away, nor when another hive has taken this one's place.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.shared.writer.is_open()
    }

    /// What the present attempt of a task last said of its progress.
    #[must_use]
    pub fn progress(&self, task: TaskId) -> Option<Progress> {
        self.shared.board.progress(task)
    }

    /// How many attempts have an actor in this process.
    #[must_use]
    pub fn running_attempts(&self) -> u64 {
        u64::try_from(self.shared.board.count()).unwrap_or(u64::MAX)
    }

    /// What the present attempt of a task has cost, as its holder last said.
    #[must_use]
    pub fn usage(&self, task: TaskId, attempt: u32) -> Option<Usage> {
        self.shared.board.usage(task, attempt)
    }

    /// The last sign of life of an agent in this process.
    #[must_use]
    pub fn last_seen(&self, agent: AgentId) -> Option<Timestamp> {
        self.shared.directory.seat(agent).and_then(|seat| seat.pulse.seen_at())
    }

    /// Where the hive is between start and end.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.shared.phase()
    }

    /// What users may hand in.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.settings.limits
    }

    /// From now on: no new work in, none out; calls that wait for assignments end. What is under way goes on.
    pub fn begin_drain(&self) {
        self.shared.set_phase(Phase::Draining);
        for seat in self.shared.directory.seats() {
            // An actor that takes no messages has no calls to end.
            let _ = seat.actor.tell(crate::agent::DismissAll);
        }
    }

    /// The seat of an agent, also of one that another process has registered.
    async fn seat(&self, caller: &Caller, agent: AgentId) -> Result<Option<Seat>, Error> {
        if let Some(seat) = self.shared.directory.seat(agent) {
            return Ok(Some(seat));
        }
        let Some(found) = self.shared.readers.agent(caller.tenant, agent).await? else { return Ok(None) };
        self.refresh(caller, found.id).await;
        Ok(self.shared.directory.seat(agent))
    }

    /// Waits until the coordinator has seen what is stored of an agent, so that the next call finds it so. What is
    /// stored stays stored: when this takes too long, the event of it does the same a little later.
    async fn refresh(&self, caller: &Caller, agent: AgentId) {
        let refresh = RefreshAgent { tenant: caller.tenant, agent };
        if let Err(error) = self.coordinator.ask_within(refresh, ANSWER_WITHIN).await {
            tracing::debug!(agent.id = %agent, %error, "the coordinator sees a change of an agent later");
        }
    }

    async fn apply<C: Write>(&self, command: C) -> Result<C::Answer, Error> {
        if self.shared.phase() == Phase::Starting {
            return Err(Error::NotReady("starting"));
        }
        let (reply, answer) = oneshot::channel();
        self.coordinator.tell(Apply { command, reply, is_for_caller: true })?;
        within(ANSWER_WITHIN, answer).await
    }
}

/// Waits for an answer. One that will never come, because the actor ended or the writer's queue was full, is overload:
/// either way nothing was written by this call, or it is safe to repeat.
async fn within<T>(patience: Duration, answer: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::Overloaded),
        Err(_) => Err(Error::Late),
    }
}
