//! An agent's actor: the inbox of its workers, whose lease calls wait here for assignments and whose sessions take them as
//! they come; or the one who has its processes started.
//!
//! Started by the coordinator under the agent supervisor when the agent is registered, permanent; it ends when the agent
//! is removed. A restart ends the calls that wait, which their workers make again.
//!
//! Invariant: what it is handed goes to a call that still waits or to a session with a slot open, or back to the queue,
//! uncharged.
//!
//! Messages: [`Lease`], [`Consume`], [`OpenSlots`], [`Leave`], [`Deliver`], [`Changed`], [`DismissAll`], [`DeadlineDue`], [`OfferDue`], [`LaunchEnded`]. Told upward: how many assignments its
//! workers want, to the coordinator.

pub(crate) mod changed;
pub(crate) mod consumer;
pub(crate) mod deliver;
pub(crate) mod grant;
pub(crate) mod launch;
pub(crate) mod lease;
pub(crate) mod offer;

use std::collections::VecDeque;
use std::sync::Arc;

use domain::Agent;
use supervision::{ActorRef, Behaviour, CancelHandle, Context};
use tokio::time::Instant;

pub use changed::{Changed, DismissAll};
pub use consumer::{Consume, Consumer, Leave, OpenSlots};
pub use deliver::Deliver;
pub use grant::LeaseGrant;
pub use launch::LaunchEnded;
pub use lease::{Lease, LeaseCall};
pub use offer::{DeadlineDue, OfferDue};

use crate::board::Pulse;
use crate::coordinator::Coordinator;
use crate::shared::SharedRef;
use lease::Waiter;

/// Most lease calls of one agent that may wait at a time, its sessions included.
pub const LEASE_CALLS_MAX: usize = 10_000;

/// See the module.
pub struct AgentActor {
    pub(crate) shared: SharedRef,
    pub(crate) coordinator: ActorRef<Coordinator>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) pulse: Arc<Pulse>,
    /// Calls in the order they came.
    pub(crate) waiters: VecDeque<Waiter>,
    /// Sessions, which take what comes.
    pub(crate) consumers: consumer::Consumers,
    /// How many assignments are on their way, as the coordinator last said.
    pub(crate) in_flight: u32,
    pub(crate) seen_deliveries: u64,
    pub(crate) offering: offer::Offering,
    /// When the next call has waited long enough, and the timer for it.
    pub(crate) deadline: Option<(Instant, CancelHandle)>,
    /// How starting processes went.
    pub(crate) launching: launch::Launching,
    /// Whether it has asked for itself to be noted as active.
    pub(crate) is_reviving: bool,
}

impl AgentActor {
    /// One with no call waiting, that knows the agent as the directory has it, or else as `first`.
    #[must_use]
    pub fn new(
        shared: SharedRef,
        coordinator: ActorRef<Coordinator>,
        first: Arc<Agent>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let agent = shared.directory.seat(first.id).map_or(first, |seat| seat.agent);
        Self {
            shared,
            coordinator,
            agent,
            pulse,
            waiters: VecDeque::new(),
            consumers: consumer::Consumers::default(),
            in_flight: 0,
            seen_deliveries: 0,
            offering: offer::Offering::default(),
            deadline: None,
            launching: launch::Launching::default(),
            is_reviving: false,
        }
    }
}

impl AgentActor {
    /// Whether its work is asked for from outside, and not started here.
    pub(crate) fn is_worker(&self) -> bool {
        self.agent.asked.link.process().is_none()
    }
}

impl Behaviour for AgentActor {
    const KIND: &'static str = "agent";
    /// As many as the writer's queue holds: each submit in it may bring one delivery within one turn of the arbiter.
    const MAILBOX_CAPACITY: usize = 8_192;

    fn started(&mut self, cx: &mut Context<Self>) {
        // The coordinator may still count on calls that ended with the incarnation before.
        self.offer(cx);
    }

    fn draining(&mut self, cx: &mut Context<Self>) {
        self.dismiss_all();
        cx.stop();
    }
}
