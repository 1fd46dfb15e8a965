//! An attempt of a process agent: its task's actor starts the process, stores what it prints, keeps the lease alive and
//! reports how it ended.
//!
//! Invariant: the process does not outlive the actor. What is dropped with the actor ends it at once.
//!
//! Invariant: a report is repeated until the store has answered it: nobody else knows how an hour of work ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use domain::{AttemptError, Name, ProcessLink, Report};
use links::{Assignment, Ended as ProcessEnded, Leash, OutputLimits, Running, Why};
use store::command::{AppendOutput, FinishAttempt, RenewLease};
use store::outcome::{Appended, ClaimedTask, Renewed};
use supervision::{ActorRef, Context, Handle, Reply};

use super::TaskActor;
use crate::agent::LaunchEnded;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::janitor::apply;
use crate::shared::{Phase, SharedRef, chance};

/// How long it waits before it writes again what the store did not take.
const AGAIN: Duration = Duration::from_millis(200);
/// The shortest time between two renewals of a lease.
const RENEWAL_MS_MIN: u64 = 100;

/// How many processes run now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ProcessCount(Arc<AtomicUsize>);

impl ProcessCount {
    /// How many.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn begin(&self) -> Counted {
        self.0.fetch_add(1, Ordering::AcqRel);
        Counted(self.clone())
    }
}

/// Counts until it is dropped.
struct Counted(ProcessCount);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether an incarnation of this actor has started a process: a later one knows nothing of it any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launched(Arc<AtomicBool>);

impl Launched {
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A process that this actor started.
pub(crate) struct Process {
    leash: Leash,
    _counted: Counted,
}

/// Start the process of this attempt.
pub struct Launch {
    /// The attempt.
    pub claimed: Box<ClaimedTask>,
    /// What people call the agent.
    pub agent_name: Name,
    /// How the process is started.
    pub link: Box<ProcessLink>,
}

impl actix::Message for Launch {
    type Result = ();
}

/// The hive stops: end the process and hand the attempt back.
pub struct EndForDrain;

impl actix::Message for EndForDrain {
    type Result = ();
}

/// Time to renew the lease of a process that runs.
pub struct RenewalDue;

impl actix::Message for RenewalDue {
    type Result = ();
}

impl Handle<Launch> for TaskActor {
    fn handle(&mut self, message: Launch, cx: &mut Context<Self>) -> Reply<()> {
        if self.process.is_none() && !self.launched.is_set() {
            self.launched.set();
            if self.shared.phase() != Phase::Serving {
                // Whoever ends the processes of a drain has perhaps looked already.
                let report = Report::HandedBack { reason: "the hive stops", usage: None };
                self.report(ProcessEnded { report, workspace: None, is_launch_failure: false }, cx);
                return Reply::Now(());
            }
            let assignment = self.assignment(message);
            let Running { output, ended, leash } = self.shared.links.start(assignment);
            if self.lease.is_cancel_requested {
                leash.end(Why::Canceled);
            }
            self.process = Some(Process { leash, _counted: self.shared.processes.begin() });
            let told = Told { shared: self.shared.clone(), coordinator: self.coordinator.clone() };
            let (task, attempt) = (self.lease.task, self.lease.attempt);
            let life = async move {
                let (mut output, mut stored_bytes) = (output, 0);
                while let Some(piece) = output.recv().await {
                    let bytes_max = told.shared.settings.limits.output_bytes_max;
                    let (text, follows_cut, after_bytes) =
                        (piece.text, piece.follows_cut, Some(stored_bytes));
                    let reporter = None;
                    let piece =
                        AppendOutput { task, attempt, text, bytes_max, follows_cut, after_bytes, reporter };
                    stored_bytes = told.store(piece).await?.unwrap_or(stored_bytes);
                }
                Some(ended.await.unwrap_or_else(|_| lost()))
            };
            cx.spawn(life, |task, ended, cx| match ended {
                Some(ended) => task.report(ended, cx),
                // The attempt is over already.
                None => cx.stop(),
            });
            cx.notify_later(RenewalDue, self.renewal());
        }
        Reply::Now(())
    }
}

impl Handle<EndForDrain> for TaskActor {
    fn handle(&mut self, _: EndForDrain, _: &mut Context<Self>) -> Reply<()> {
        self.end_process(Why::Draining);
        Reply::Now(())
    }
}

impl Handle<RenewalDue> for TaskActor {
    fn handle(&mut self, message: RenewalDue, cx: &mut Context<Self>) -> Reply<()> {
        if self.process.is_none() {
            return Reply::Now(());
        }
        let now = self.shared.clock.now();
        self.shared.board.report(self.lease.task, self.lease.attempt, None, now);
        let command = RenewLease { task: self.lease.task, attempt: self.lease.attempt, reporter: None };
        cx.spawn(apply(self.coordinator.clone(), command), move |task, renewed, cx| {
            task.renewed(now, &renewed);
            match renewed {
                Ok(Renewed::Stale | Renewed::NotFound) => cx.stop(),
                Ok(Renewed::Until { is_cancel_requested: true, .. }) => task.end_process(Why::Canceled),
                Ok(Renewed::Until { .. }) | Err(_) => {}
            }
        });
        cx.notify_later(message, self.renewal());
        Reply::Now(())
    }
}

impl TaskActor {
    /// Ends the process, if one runs.
    pub(super) fn end_process(&self, why: Why) {
        if let Some(process) = &self.process {
            process.leash.end(why);
        }
    }

    /// After a restart: the process of the incarnation before ended with it. The attempt has failed and is charged, so
    /// that a task that always makes its actor fail does not go round without end.
    pub(super) fn report_lost(&mut self, cx: &mut Context<Self>) {
        if self.launched.is_set() {
            let error =
                AttemptError::stated("actor_failed", "the actor of the task failed, and its process ended");
            let report = Report::Failed { error, retryable: true, usage: None };
            self.report(ProcessEnded { report, workspace: None, is_launch_failure: false }, cx);
        }
    }

    fn report(&mut self, ended: ProcessEnded, cx: &mut Context<Self>) {
        let (task, attempt) = (self.lease.task, self.lease.attempt);
        if let Some(seat) = self.shared.directory.seat(self.lease.agent) {
            // An agent that does not hear of it pauses one attempt later.
            let _ = seat.actor.tell(LaunchEnded { is_failure: ended.is_launch_failure });
        }
        let report = word(&ended.report);
        tracing::debug!(task.id = %task, attempt, report, "the process of an attempt has ended");
        let command = FinishAttempt {
            task,
            attempt,
            report: ended.report,
            workspace: ended.workspace,
            chance: chance(),
            correlation_id: Arc::clone(&self.correlation_id),
            reporter: None,
        };
        let told = Told { shared: self.shared.clone(), coordinator: self.coordinator.clone() };
        cx.spawn(async move { told.finish(command).await }, |_, (), cx| cx.stop());
    }

    fn assignment(&mut self, message: Launch) -> Assignment {
        let Launch { claimed, agent_name, link } = message;
        let limits = self.shared.settings.limits;
        self.correlation_id = Arc::clone(&claimed.correlation_id);
        Assignment {
            task: claimed.task,
            attempt: claimed.attempt,
            agent: claimed.agent,
            agent_name,
            link: *link,
            title: claimed.title,
            input: claimed.input,
            timeout_ms: claimed.timeouts.start_to_close_ms.map(|limit| ahead(limit, &self.shared)),
            limits: OutputLimits {
                output_bytes_max: limits.output_bytes_max,
                result_bytes_max: limits.result_bytes_max,
            },
        }
    }

    fn renewal(&self) -> Duration {
        Duration::from_millis((self.lease.ttl_ms / 3).max(RENEWAL_MS_MIN))
    }
}

/// When a process is asked to end so that its attempt is closed within its start-to-close time: the time it takes to
/// end is part of it. Of a short time, a quarter at most goes to the end.
fn ahead(start_to_close_ms: u64, shared: &SharedRef) -> u64 {
    let end_ms = shared.settings.kill_grace_ms.saturating_add(500).min(start_to_close_ms / 4);
    start_to_close_ms.saturating_sub(end_ms).max(1)
}

/// What a log says of a report: what it holds may be secret, and large.
const fn word(report: &Report) -> &'static str {
    match report {
        Report::Succeeded { .. } => "succeeded",
        Report::Failed { .. } => "failed",
        Report::TimedOut { .. } => "timed_out",
        Report::HandedBack { .. } => "handed_back",
    }
}

/// What the link owes us when it breaks.
fn lost() -> ProcessEnded {
    let error = AttemptError::stated("link_lost", "the hive lost the process that worked on it");
    ProcessEnded {
        report: Report::Failed { error, retryable: true, usage: None },
        workspace: None,
        is_launch_failure: false,
    }
}

/// Writes on behalf of a process, again and again until the store answers.
struct Told {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
}

impl Told {
    /// Stores a piece of output; answers how many bytes are stored now, `None` within when it can never be stored.
    /// `None` when the attempt is over.
    async fn store(&self, piece: AppendOutput) -> Option<Option<u64>> {
        let (task, attempt) = (piece.task, piece.attempt);
        self.shared.board.progressed(task, attempt, self.shared.clock.now());
        loop {
            match apply(self.coordinator.clone(), piece.clone()).await {
                Ok(Appended::Done { stored_bytes, .. }) => {
                    self.shared.board.output_stored(task, attempt);
                    return Some(Some(stored_bytes));
                }
                Ok(Appended::Stale | Appended::NotFound) => return None,
                Err(Error::Refused(why)) => {
                    tracing::error!(task.id = %task, attempt, %why, "the store refuses a piece of output; it is left out");
                    return Some(None);
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn finish(&self, mut command: FinishAttempt) {
        let mut is_plain = false;
        while let Err(error) = apply(self.coordinator.clone(), command.clone()).await {
            if let Error::Refused(why) = &error {
                tracing::error!(task.id = %command.task, %why, "the store refuses the report of a process");
                if is_plain {
                    return;
                }
                // So that the work is not done again only to be refused again.
                is_plain = true;
                let error = AttemptError::stated("unstorable", "the store refuses the report of its process");
                command.report = Report::Failed { error, retryable: false, usage: None };
                command.workspace = None;
                continue;
            }
            self.pause(&error).await;
        }
    }

    async fn pause(&self, error: &Error) {
        tracing::debug!(%error, "the store did not take a word of a process; trying again");
        tokio::time::sleep(AGAIN).await;
    }
}

/// Ends the processes of these actors because the hive stops.
pub(crate) fn end_for_drain(actors: Vec<ActorRef<TaskActor>>) {
    for actor in actors {
        // One that takes no message ends with the tree, and its process with it.
        let _ = actor.tell(EndForDrain);
    }
}
