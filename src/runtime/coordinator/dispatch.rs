//! Gives free slots to waiting tasks, and hands on what was claimed.

use std::sync::Arc;

use store::command::ClaimTasks;
use store::error::WriteError;
use store::outcome::ClaimedTask;
use supervision::{ActorRef, ChildSpec, Context, Restart};

use super::advance::{end_actor, micros};
use super::entries::Origin;
use super::{Advance, Coordinator, push_news};
use crate::agent::{self, LeaseGrant};
use crate::board::Holder;
use crate::inbox::{ClaimsBack, News};
use crate::shared::Phase;
use crate::task::{Launched, TaskActor, TaskLease};

/// Most slots that one plan gives out: a batch of the writer.
const SLOTS_MAX: u32 = 2_000;

/// What was claimed; `None` where the store did not say, so that it may have been committed all the same.
fn known(outcome: Result<Vec<ClaimedTask>, WriteError>) -> Option<Vec<ClaimedTask>> {
    match outcome {
        Ok(claimed) => Some(claimed),
        Err(WriteError::Overloaded | WriteError::NotBegun(_) | WriteError::Refused(_)) => Some(Vec::new()),
        Err(WriteError::Unavailable(_)) => None,
    }
}

impl Coordinator {
    /// One plan for all that is in the mailbox now and asks for one: behind it, it is the next message.
    pub(crate) fn plan_soon(&mut self, cx: &Context<Self>) {
        if !self.is_plan_due {
            self.is_plan_due = cx.actor_ref().tell(Advance { is_tick: false }).is_ok();
            if !self.is_plan_due {
                self.dispatch(cx);
            }
        }
    }

    /// Plans over the books as they are, sends the claims to the writer and answers the offers.
    pub(crate) fn dispatch(&mut self, cx: &Context<Self>) {
        self.plan(cx);
        self.answer_offers();
    }

    fn plan(&mut self, cx: &Context<Self>) {
        if !self.is_ready || self.shared.phase() != Phase::Serving {
            return;
        }
        let claims = self.books.plan(self.turn, SLOTS_MAX);
        if claims.is_empty() {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        self.shared.metrics.plans.inc();
        for (claim, behind) in claims {
            let (from, planned, agent) = (Origin::of(&claim), claim.count, claim.agent);
            let (shared, coordinator) = (self.shared.clone(), cx.actor_ref());
            let command = ClaimTasks {
                lane: claim.lane,
                priority: claim.priority,
                count: planned,
                agent,
                lease_ttl_ms: self.shared.settings.lease_ttl_ms,
                behind,
            };
            let sent = self.shared.writer.send(command, move |outcome| {
                let claimed = known(outcome);
                push_news(&shared, &coordinator, News::Claimed(ClaimsBack { agent, from, planned, claimed }));
            });
            if sent.is_err() {
                // The writer's queue is full: the next tick plans again.
                self.books.unreserve(agent, from, planned);
            }
        }
    }

    /// Claims came back: starts a task's actor for each and hands them to the agent's actor. Answers whether it is known
    /// what was claimed. Where it is not, their slots stay taken: the books have to be built anew.
    #[must_use]
    pub(crate) fn deliver(&mut self, back: ClaimsBack, cx: &Context<Self>) -> bool {
        let ClaimsBack { agent, from, planned, claimed } = back;
        let Some(claimed) = claimed else {
            tracing::warn!(agent.id = %agent, planned, "nobody knows what became of claims; rebuilding");
            return false;
        };
        let me = cx.actor_ref();
        // From here on, whoever drops them hands them back.
        let grant = LeaseGrant::new(claimed, me.clone(), self.shared.metrics.clone());
        for claimed in grant.claimed() {
            let waited_us = micros(claimed.ready_at, claimed.started_at);
            self.shared.performance.count(claimed.started_at, |slice| slice.wait.record(waited_us));
        }
        let attempts =
            grant.claimed().iter().map(|claimed| (claimed.task, claimed.attempt, claimed.started_at));
        self.books.settle(agent, from, planned, attempts);
        if from.head.is_none() && !grant.is_empty() {
            self.shared.metrics.eager_claims.inc();
        }
        for claimed in grant.claimed() {
            self.start_task(&TaskLease::of(claimed), &me);
        }
        let delivery = agent::Deliver { grant, under_way: self.books.under_way(agent) };
        if let Some(seat) = self.shared.directory.seat(agent) {
            // An actor that does not take it drops it.
            let _ = seat.actor.tell(delivery);
        }
        true
    }

    /// Starts the actor of an attempt, unless it or a later one runs already.
    pub(crate) fn start_task(&mut self, lease: &TaskLease, me: &ActorRef<Self>) {
        if self.shared.board.has(lease.task, lease.attempt) {
            return;
        }
        let Some(seat) = self.shared.directory.seat(lease.agent) else { return };
        let (shared, coordinator, begin) = (self.shared.clone(), me.clone(), lease.clone());
        let launched = Launched::default();
        let spec = ChildSpec::new(format!("{}:{}", lease.task, lease.attempt), move || {
            TaskActor::new(shared.clone(), coordinator.clone(), begin.clone(), launched.clone())
        })
        .restart(Restart::Transient);
        match self.shared.tasks.start_child(spec) {
            Ok(actor) => {
                let (tenant, pulse) = (seat.agent.tenant, Arc::clone(&seat.pulse));
                let holder = Holder { tenant, agent: lease.agent, pulse };
                if let Some(older) = self.shared.board.begin(lease.task, lease.attempt, actor, holder) {
                    end_actor(&older);
                }
            }
            // Without its actor the store answers heartbeats, so the attempt itself is not in danger.
            Err(error) => {
                tracing::warn!(task.id = %lease.task, %error, "the actor of a task was not started")
            }
        }
    }
}
