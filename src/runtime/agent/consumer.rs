//! Sessions take assignments as they come, as many as they have slots open: nobody asks anew after each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use domain::TenantId;
use parking_lot::Mutex;
use supervision::{ActorRef, Context, Handle, Reply};
use tokio::sync::{mpsc, oneshot};

use super::{AgentActor, LEASE_CALLS_MAX, LeaseGrant};
use crate::error::Error;

/// Assignments that a session was granted and has not heard of, from which on it is granted no more: as many as a frame has.
const UNHEARD_MAX: usize = 256;
/// Bytes of their inputs, from which on it is granted no more: 8 MiB, as one claim brings.
const UNHEARD_BYTES_MAX: usize = 8 << 20;

/// What a session was granted and has not heard of: one whose socket takes nothing hears nothing.
#[derive(Debug, Default)]
pub(crate) struct Unheard(Mutex<(usize, usize)>);

impl Unheard {
    /// Adds a grant; whether that is as much as there may be.
    fn add(&self, (count, bytes): (usize, usize)) -> bool {
        let mut sum = self.0.lock();
        *sum = (sum.0 + count, sum.1 + bytes);
        Self::is_much(*sum)
    }

    /// Takes a grant away; whether there is room again that was not there before.
    fn take(&self, (count, bytes): (usize, usize)) -> bool {
        let mut sum = self.0.lock();
        let was_much = Self::is_much(*sum);
        *sum = (sum.0.saturating_sub(count), sum.1.saturating_sub(bytes));
        was_much && !Self::is_much(*sum)
    }

    fn is_full(&self) -> bool {
        Self::is_much(*self.0.lock())
    }

    const fn is_much((count, bytes): (usize, usize)) -> bool {
        count >= UNHEARD_MAX || bytes >= UNHEARD_BYTES_MAX
    }
}

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
    /// What of them it has not heard of.
    pub(crate) unheard: Arc<Unheard>,
    /// Who waits for the answer; `None` where the agent is of another tenant.
    pub reply: oneshot::Sender<Result<Option<()>, Error>>,
}

impl actix::Message for Consume {
    type Result = ();
}

/// So many more slots of a consumer are open. None: a sign of life, or there is room for grants again.
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
    pub(crate) unheard: Arc<Unheard>,
}

impl Consumer {
    /// So many more assignments are taken. None is a sign of life, too.
    ///
    /// # Errors
    /// When the agent's actor takes no messages now: then nothing was opened.
    pub fn open(&self, more: u32) -> Result<(), Error> {
        Ok(self.actor.tell(OpenSlots { number: self.number, more })?)
    }

    /// These were heard of. A consumer that does not say so is granted no more after 256 of them, or 8 MiB of input.
    ///
    /// # Errors
    /// When the agent's actor takes no messages now: then it grants nothing more to this consumer.
    pub fn heard(&self, grants: &[LeaseGrant]) -> Result<(), Error> {
        let mut has_room_again = false;
        for grant in grants {
            has_room_again |= self.unheard.take(grant.size());
        }
        if has_room_again { self.open(0) } else { Ok(()) }
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
/// Invariant: `open` is the sum of the slots of all that hear of what they are granted, and `turns` has exactly those of them
/// that have some.
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
    unheard: Arc<Unheard>,
    /// Whether it has to hear of what it was granted first.
    is_behind: bool,
}

impl Consumers {
    pub(crate) fn len(&self) -> usize {
        self.there.len()
    }

    /// Slots that are open, of all together.
    pub(crate) const fn open_slots(&self) -> u32 {
        self.open
    }

    fn join(
        &mut self,
        number: ConsumerNumber,
        grants: mpsc::UnboundedSender<LeaseGrant>,
        unheard: Arc<Unheard>,
    ) {
        self.there.insert(number, Seat { slots: 0, grants, unheard, is_behind: false });
    }

    /// Forgets those that are gone and could not say so.
    pub(crate) fn forget_gone(&mut self) {
        let gone: Vec<_> = self
            .there
            .iter()
            .filter(|(_, seat)| seat.grants.is_closed())
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            self.leave(number);
        }
    }

    fn open(&mut self, number: ConsumerNumber, more: u32) {
        let Some(seat) = self.there.get_mut(&number) else { return };
        let before = if seat.is_behind { 0 } else { seat.slots };
        seat.slots = seat.slots.saturating_add(more);
        seat.is_behind = seat.is_behind && seat.unheard.is_full();
        if !seat.is_behind && seat.slots > before {
            if before == 0 {
                self.turns.push_back(number);
            }
            self.open = self.open.saturating_add(seat.slots - before);
        }
    }

    fn leave(&mut self, number: ConsumerNumber) {
        let Some(seat) = self.there.remove(&number) else { return };
        if seat.slots > 0 && !seat.is_behind {
            self.open = self.open.saturating_sub(seat.slots);
            self.turns.retain(|there| *there != number);
        }
    }

    /// Gives assignments to those whose turn it is. What is left in the grant has nobody to take it.
    pub(crate) fn give(&mut self, grant: &mut LeaseGrant) {
        while !grant.is_empty() {
            let Some(number) = self.turns.pop_front() else { return };
            let Some(seat) = self.there.get_mut(&number) else { continue };
            let part = grant.split(seat.slots);
            let size = part.size();
            let taken = u32::try_from(size.0).unwrap_or(u32::MAX);
            // Noted before it can be heard of.
            let is_much = seat.unheard.add(size);
            self.open = self.open.saturating_sub(seat.slots);
            match seat.grants.send(part) {
                Ok(()) => {
                    seat.slots = seat.slots.saturating_sub(taken);
                    seat.is_behind = is_much && seat.unheard.is_full();
                    if seat.slots > 0 && !seat.is_behind {
                        self.open = self.open.saturating_add(seat.slots);
                        self.turns.push_back(number);
                    }
                }
                Err(mpsc::error::SendError(part)) => {
                    // A session that is gone leaves its part to the next one.
                    self.there.remove(&number);
                    grant.join(part);
                }
            }
        }
    }
}

impl Handle<Consume> for AgentActor {
    fn handle(&mut self, message: Consume, _: &mut Context<Self>) -> Reply<()> {
        let Consume { tenant, number, grants, unheard, reply } = message;
        if self.waiters.len() + self.consumers.len() >= LEASE_CALLS_MAX {
            self.consumers.forget_gone();
        }
        let answer = if tenant != self.agent.tenant {
            Ok(None)
        } else if !self.is_worker() {
            Err(Error::NotAWorker)
        } else if self.waiters.len() + self.consumers.len() >= LEASE_CALLS_MAX {
            Err(Error::Overloaded)
        } else {
            self.consumers.join(number, grants, unheard);
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
        self.offer(cx);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_behind_from_256_assignments_or_8_mib_on_until_it_has_heard_of_enough_of_them() {
        const MIB: usize = 1 << 20;
        let unheard = Unheard::default();
        assert!(!unheard.add((255, 0)));
        assert!(unheard.add((1, 0)) && unheard.is_full());
        assert!(unheard.add((1, 8 * MIB)));
        assert!(!unheard.take((2, 0)), "there is still too much input");
        assert!(unheard.take((1, 1)) && !unheard.is_full());
        assert!(!unheard.take((1, 0)), "there was room already");
        assert!(unheard.add((1, 1)));
    }
}
