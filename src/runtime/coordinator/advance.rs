//! News has come: commits are folded into the books, claims are handed on, then a new plan is made.

use std::sync::Arc;

use domain::{Event, EventKind, TaskId, Timestamp};
use store::record::PerformanceCounts;
use store::writer::CommitNotice;
use supervision::{ActorRef, Context, Handle, Reply};

use super::books::Effect;
use super::{Coordinator, TICK};
use crate::inbox::News;
use crate::task::{self, TaskActor};

/// Look at the inbox.
pub struct Advance {
    /// Whether this is the regular look that is set again.
    pub is_tick: bool,
}

impl actix::Message for Advance {
    type Result = ();
}

impl Handle<Advance> for Coordinator {
    fn handle(&mut self, message: Advance, cx: &mut Context<Self>) -> Reply<()> {
        if message.is_tick {
            cx.notify_later(message, TICK);
        }
        self.is_plan_due = false;
        if self.is_ready {
            self.advance(cx);
        } else {
            self.answer_offers();
        }
        Reply::Now(())
    }
}

impl Coordinator {
    /// Takes all news, one by one, so that a failure over one leaves the rest for the next incarnation. When a commit
    /// is missing, the books are built anew.
    pub(crate) fn advance(&mut self, cx: &mut Context<Self>) {
        self.shared.coordinator_inbox.open();
        while self.is_ready
            && let Some(news) = self.shared.coordinator_inbox.pop()
        {
            match news {
                News::Committed(notice) => self.fold(&notice, cx),
                News::Claimed(back) => {
                    if !self.deliver(back, cx) {
                        self.recover(cx);
                    }
                }
                News::NotEnded(task, attempt) => self.books.does_not_end(task, attempt),
                News::Rebuilt => self.recover(cx),
            }
        }
        self.dispatch(cx);
    }

    fn fold(&mut self, notice: &Arc<CommitNotice>, cx: &mut Context<Self>) {
        for (id, spec) in &notice.new_lanes {
            self.books.learn_lane(*id, spec, &feed::QueueFigures::default());
        }
        for event in &notice.events {
            if event.seq <= self.seq {
                continue;
            }
            if event.seq != self.seq + 1 {
                tracing::warn!(
                    after = self.seq,
                    found = event.seq,
                    "the coordinator missed commits; rebuilding"
                );
                // The projection has this commit already, so the snapshot has it too.
                self.recover(cx);
                return;
            }
            self.seq = event.seq;
            self.measure(event);
            match self.books.fold(event) {
                Effect::None => {}
                Effect::Ended(task, attempt) => self.end_task(task, attempt),
                Effect::CancelAsked(task) => {
                    if let Some(actor) = self.shared.board.present_actor(task) {
                        // A lost word costs one renewal: the store answers the same.
                        let _ = actor.tell(task::CancelAsked);
                    }
                }
                Effect::AgentChanged(tenant, agent) => self.refresh_agent(tenant, agent, None, cx),
                Effect::QueuesChanged => self.refresh_queues(None, cx),
            }
        }
    }

    /// Counts what an event tells, before it is in the books.
    fn measure(&self, event: &Event) {
        let ran_us = self.books.began(event).map(|began| micros(began, event.at));
        let field: Option<fn(&mut PerformanceCounts) -> &mut u64> = match event.kind {
            EventKind::TaskSubmitted => Some(|counts| &mut counts.submitted),
            EventKind::TaskStarted => Some(|counts| &mut counts.started),
            EventKind::TaskCompleted => Some(|counts| &mut counts.completed),
            EventKind::TaskRetrying => Some(|counts| &mut counts.retried),
            EventKind::TaskFailed => Some(|counts| &mut counts.failed),
            _ => None,
        };
        if field.is_none() && ran_us.is_none() {
            return;
        }
        self.shared.performance.count(event.at, |slice| {
            if let Some(field) = field {
                *field(&mut slice.counts) += 1;
            }
            if let Some(ran_us) = ran_us {
                slice.run.record(ran_us);
            }
        });
    }

    fn end_task(&mut self, task: TaskId, attempt: u32) {
        if let Some(actor) = self.shared.board.end(task, attempt) {
            end_actor(&actor);
        }
    }
}

/// Microseconds from one moment to a later one.
pub(super) fn micros(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_micros().saturating_sub(from.as_micros())).unwrap_or(0)
}

/// Ends the actor of an attempt that is over.
pub(crate) fn end_actor(actor: &ActorRef<TaskActor>) {
    // An actor that is gone already needs no word; one whose mailbox is full finds out at its next heartbeat.
    let _ = actor.tell(task::Ended);
}
