//! Tells the coordinator how many assignments are wanted, and ends calls that have waited long enough.

use std::collections::VecDeque;
use std::time::Duration;

use supervision::{CallError, Context, Handle, Reply};
use tokio::time::Instant;

use super::AgentActor;
use crate::coordinator::Offer;
use crate::coordinator::books::UnderWay;
use crate::shared::Phase;

/// How long it waits before it offers again, when the coordinator does not answer or the last plan brought nothing.
const AGAIN: Duration = Duration::from_millis(100);

/// Time to offer again.
pub struct OfferDue;

impl actix::Message for OfferDue {
    type Result = ();
}

/// The call that waits the shortest has waited long enough.
pub struct DeadlineDue;

impl actix::Message for DeadlineDue {
    type Result = ();
}

/// At most one offer is under way; what changes meanwhile goes into the next.
#[derive(Debug, Default)]
pub(crate) struct Offering {
    is_under_way: bool,
    is_outdated: bool,
}

impl Handle<OfferDue> for AgentActor {
    fn handle(&mut self, _: OfferDue, cx: &mut Context<Self>) -> Reply<()> {
        self.offer(cx);
        self.end_overdue(cx);
        Reply::Now(())
    }
}

impl Handle<DeadlineDue> for AgentActor {
    fn handle(&mut self, _: DeadlineDue, cx: &mut Context<Self>) -> Reply<()> {
        self.deadline = None;
        self.end_overdue(cx);
        Reply::Now(())
    }
}

impl AgentActor {
    /// Offers what all waiting calls and sessions together want, or what a process agent may start.
    pub(crate) fn offer(&mut self, cx: &mut Context<Self>) {
        if self.offering.is_under_way {
            self.offering.is_outdated = true;
            return;
        }
        let wanted = self.wanted();
        let offer = Offer { agent: self.agent.id, wanted, seen_deliveries: self.seen_deliveries };
        match self.coordinator.request(offer) {
            Ok(pending) => {
                self.offering = Offering { is_under_way: true, is_outdated: false };
                cx.spawn(pending.answer(), Self::offered);
            }
            Err(_) => {
                self.in_flight = 0;
                self.offer_later(cx);
            }
        }
    }

    fn wanted(&self) -> u32 {
        if self.is_worker() {
            let open = self.consumers.open_slots();
            self.waiters.iter().map(|waiter| waiter.call.max).fold(open, u32::saturating_add)
        } else {
            self.launchable()
        }
    }

    pub(crate) fn offer_later(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(OfferDue, AGAIN);
    }

    fn offered(&mut self, answer: Result<UnderWay, CallError>, cx: &mut Context<Self>) {
        let was_outdated = std::mem::take(&mut self.offering).is_outdated;
        match answer {
            Ok(under_way) => {
                self.in_flight = under_way.in_flight;
                let is_behind = under_way.deliveries != self.seen_deliveries;
                // After a restart of either side the counts differ, and the coordinator's is the one that counts.
                self.seen_deliveries = under_way.deliveries;
                if was_outdated || is_behind {
                    self.offer(cx);
                }
            }
            Err(_) => {
                self.in_flight = 0;
                self.offer_later(cx);
            }
        }
        self.end_overdue(cx);
    }

    /// Ends calls that have waited long enough, unless something is on its way to them.
    pub(crate) fn end_overdue(&mut self, cx: &mut Context<Self>) {
        if self.shared.phase() != Phase::Serving {
            self.dismiss_all();
        }
        if self.in_flight == 0 && !self.offering.is_under_way {
            let now = Instant::now();
            let (overdue, others): (VecDeque<_>, _) =
                std::mem::take(&mut self.waiters).into_iter().partition(|waiter| waiter.until <= now);
            self.waiters = others;
            let is_fewer = !overdue.is_empty();
            for waiter in overdue {
                self.pulse.saw(self.shared.clock.now());
                self.dismiss(waiter);
            }
            if is_fewer {
                self.offer(cx);
            }
        }
        self.watch_deadline(cx);
    }

    /// Keeps one timer for the call that waits the shortest.
    pub(crate) fn watch_deadline(&mut self, cx: &mut Context<Self>) {
        let now = Instant::now();
        let next = self.waiters.iter().map(|waiter| waiter.until).filter(|until| *until > now).min();
        match (next, &self.deadline) {
            (Some(next), Some((there, _))) if *there <= next && *there > now => {}
            (Some(next), _) => {
                let timer = cx.notify_later(DeadlineDue, next.duration_since(now));
                if let Some((_, outdated)) = self.deadline.replace((next, timer)) {
                    outdated.cancel();
                }
            }
            (None, _) => {}
        }
    }
}
