//! Sessions take assignments as they come, as many as they have slots open: nobody asks anew after each.

use std::collections::{HashMap, VecDeque};

use domain::TenantId;
use supervision::{ActorRef, Context, Handle, Reply};
use tokio::sync::{mpsc, oneshot};

use super::{AgentActor, LEASE_CALLS_MAX, LeaseGrant};
use crate::error::Error;

/// Which consumer, in this process.
pub(crate) type ConsumerNumber = u64;

/// A session begins to take assignments; it has no slots open yet.
pub struct Consume {
    /// Whose agent is meant.
    pub tenant: TenantId,
    /// Which consumer it is.
    pub number: ConsumerNumber,
    /// Where its assignments go; closed when the agent's actor begins anew.
    pub grants: mpsc::UnboundedSender<LeaseGrant>,
    /// Who waits for the answer; `None` where the agent is of another tenant.
    pub reply: oneshot::Sender<Result<Option<()>, Error>>,
}

impl actix::Message for Consume {
    type Result = ();
}

/// So many more slots of a consumer are open. None is a sign of life, too.
pub struct OpenSlots {
    /// Whose.
    pub number: ConsumerNumber,
    /// How many.
    pub more: u32,
}

impl actix::Message for OpenSlots {
    type Result = ();
}

/// A consumer takes nothing any more.
pub struct Leave {
    /// Which one.
    pub number: ConsumerNumber,
}

impl actix::Message for Leave {
    type Result = ();
}

/// A session's side: says which slots are open, and, dropped, that it takes nothing any more.
pub struct Consumer {
    pub(crate) number: ConsumerNumber,
    pub(crate) actor: ActorRef<AgentActor>,
}

impl Consumer {
    /// So many more assignments are taken. None is a sign of life, too.
    ///
    /// # Errors
    /// When the agent's actor takes no messages now: then nothing was opened.
    pub fn open(&self, more: u32) -> Result<(), Error> {
        Ok(self.actor.tell(OpenSlots { number: self.number, more })?)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Where this does not get through, the next assignment finds out.
        let _ = self.actor.tell(Leave { number: self.number });
    }
}

/// The consumers of one agent.
///
/// Invariant: `open` is the sum of all their slots, and `turns` has exactly those that have some.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    there: HashMap<ConsumerNumber, Seat>,
    turns: VecDeque<ConsumerNumber>,
    open: u32,
}

#[derive(Debug)]
struct Seat {
    slots: u32,
    grants: mpsc::UnboundedSender<LeaseGrant>,
}

impl Consumers {
    pub(crate) fn len(&self) -> usize {
        self.there.len()
    }

    /// Slots that are open, of all together.
    pub(crate) const fn open_slots(&self) -> u32 {
        self.open
    }

    fn join(&mut self, number: ConsumerNumber, grants: mpsc::UnboundedSender<LeaseGrant>) {
        self.there.insert(number, Seat { slots: 0, grants });
    }

    fn open(&mut self, number: ConsumerNumber, more: u32) {
        let Some(seat) = self.there.get_mut(&number) else { return };
        let more = more.min(u32::MAX - self.open);
        if seat.slots == 0 && more > 0 {
            self.turns.push_back(number);
        }
        seat.slots += more;
        self.open += more;
    }

    fn leave(&mut self, number: ConsumerNumber) {
        let Some(seat) = self.there.remove(&number) else { return };
        if seat.slots > 0 {
            self.open -= seat.slots;
            self.turns.retain(|there| *there != number);
        }
    }

    /// Gives assignments to those whose turn it is. What is left in the grant has nobody to take it.
    pub(crate) fn give(&mut self, grant: &mut LeaseGrant) {
        while !grant.is_empty() {
            let Some(number) = self.turns.pop_front() else { return };
            let Some(seat) = self.there.get_mut(&number) else { continue };
            let part = grant.split(seat.slots);
            let taken = u32::try_from(part.claimed().len()).unwrap_or(u32::MAX);
            match seat.grants.send(part) {
                Ok(()) => {
                    seat.slots -= taken;
                    self.open -= taken;
                    if seat.slots > 0 {
                        self.turns.push_back(number);
                    }
                }
                Err(mpsc::error::SendError(part)) => {
                    // A session that is gone leaves its part to the next one.
                    self.open -= seat.slots;
                    self.there.remove(&number);
                    grant.join(part);
                }
            }
        }
    }
}

impl Handle<Consume> for AgentActor {
    fn handle(&mut self, message: Consume, _: &mut Context<Self>) -> Reply<()> {
        let Consume { tenant, number, grants, reply } = message;
        let answer = if tenant != self.agent.tenant {
            Ok(None)
        } else if !self.is_worker() {
            Err(Error::NotAWorker)
        } else if self.waiters.len() + self.consumers.len() >= LEASE_CALLS_MAX {
            Err(Error::Overloaded)
        } else {
            self.consumers.join(number, grants);
            Ok(Some(()))
        };
        let _ = reply.send(answer);
        Reply::Now(())
    }
}

impl Handle<OpenSlots> for AgentActor {
    fn handle(&mut self, message: OpenSlots, cx: &mut Context<Self>) -> Reply<()> {
        self.pulse.saw(self.shared.clock.now());
        self.revive();
        self.consumers.open(message.number, message.more);
        if message.more > 0 {
            self.offer(cx);
        }
        Reply::Now(())
    }
}

impl Handle<Leave> for AgentActor {
    fn handle(&mut self, message: Leave, cx: &mut Context<Self>) -> Reply<()> {
        self.consumers.leave(message.number);
        self.offer(cx);
        Reply::Now(())
    }
}
