//! A worker's session attends an attempt: it hears of what happens to it, and has to show the worker's first sign of life
//! in time.
//!
//! Invariant: what it is told is a courtesy. A word that is lost (an actor began anew, its mailbox was full) costs the
//! worker nothing but the answer to its next report, which says the same.

use std::sync::Arc;
use std::time::Duration;

use domain::{Report, TaskId};
use store::command::FinishAttempt;
use supervision::{ActorRef, Context, Handle, Reply};
use tokio::sync::{mpsc, oneshot};

use super::TaskActor;
use crate::coordinator::{Apply, Coordinator};
use crate::shared::chance;

/// Of an assignment that was pushed to a worker which then said nothing of it.
const NO_SIGN: &str = "the worker gave no sign of life in time";

/// What happens to an attempt that a session attends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptNews {
    /// Of which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// What.
    pub event: AttemptEvent,
}

/// See [`AttemptNews`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEvent {
    /// Somebody wants it to end; a report still counts.
    CancelRequested,
    /// It does not hold the task any more; no report counts. Also told of an attempt that ended by its own report.
    Over,
}

/// Tell somebody of this attempt from now on, in place of who was told before.
pub struct Attend {
    /// Who is told; never more than two words an attempt.
    pub told: mpsc::UnboundedSender<AttemptNews>,
    /// Within what time the holder has to give its first sign of life, or the attempt goes back, uncharged. In place of the
    /// time that was given before.
    pub sign_within: Duration,
}

impl actix::Message for Attend {
    type Result = ();
}

/// Time for the first sign of life.
pub struct SignDue;

impl actix::Message for SignDue {
    type Result = ();
}

impl Handle<Attend> for TaskActor {
    fn handle(&mut self, message: Attend, cx: &mut Context<Self>) -> Reply<()> {
        let Attend { told, sign_within } = message;
        self.attendant = Some(told);
        if self.lease.is_cancel_requested {
            self.tell(AttemptEvent::CancelRequested);
        }
        if let Some(before) = self.sign_due.take() {
            before.cancel();
        }
        if !self.shared.board.has_signed(self.lease.task, self.lease.attempt) {
            self.sign_due = Some(cx.notify_later(SignDue, sign_within));
        }
        Reply::Now(())
    }
}

impl Handle<SignDue> for TaskActor {
    fn handle(&mut self, _: SignDue, _: &mut Context<Self>) -> Reply<()> {
        let (task, attempt) = (self.lease.task, self.lease.attempt);
        if !self.shared.board.has_signed(task, attempt) {
            tracing::info!(task.id = %task, attempt, agent.id = %self.lease.agent, reason = NO_SIGN, "an assignment goes back");
            self.shared.metrics.assignments.with_label_values(&["handed_back"]).inc();
            hand_back(&self.coordinator, (task, attempt), NO_SIGN, &self.correlation_id);
        }
        Reply::Now(())
    }
}

impl TaskActor {
    /// Tells who attends, if anybody does.
    pub(super) fn tell(&self, event: AttemptEvent) {
        if let Some(told) = &self.attendant {
            let (task, attempt) = (self.lease.task, self.lease.attempt);
            // A session that is gone hears nothing.
            let _ = told.send(AttemptNews { task, attempt, event });
        }
    }
}

/// Puts an attempt back that nobody works on, uncharged.
pub(crate) fn hand_back(
    coordinator: &ActorRef<Coordinator>,
    (task, attempt): (TaskId, u32),
    reason: &'static str,
    correlation_id: &Arc<str>,
) {
    let command = FinishAttempt {
        task,
        attempt,
        report: Report::HandedBack { reason, usage: None },
        workspace: None,
        chance: chance(),
        correlation_id: Arc::clone(correlation_id),
        reporter: None,
    };
    let (reply, _) = oneshot::channel();
    // Where the coordinator takes nothing, the lease expires instead.
    let _ = coordinator.tell(Apply { command, reply, is_for_caller: false });
}
