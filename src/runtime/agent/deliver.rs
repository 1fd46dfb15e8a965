//! Claimed tasks come in and go to the calls that wait, oldest call first, then to sessions in turn; those of a process
//! agent to their processes.

use supervision::{Context, Handle, Reply};

use super::{AgentActor, LeaseGrant};
use crate::coordinator::books::UnderWay;
use crate::shared::Phase;

/// Claims of a plan came back, perhaps with nothing.
pub struct Deliver {
    /// What was claimed; dropped, it goes back.
    pub grant: LeaseGrant,
    /// What is still on its way, this delivery counted.
    pub under_way: UnderWay,
}

impl actix::Message for Deliver {
    type Result = ();
}

impl Handle<Deliver> for AgentActor {
    fn handle(&mut self, message: Deliver, cx: &mut Context<Self>) -> Reply<()> {
        let Deliver { grant, under_way } = message;
        self.in_flight = under_way.in_flight;
        self.seen_deliveries = under_way.deliveries;
        let is_of_use = !grant.is_empty();
        let mut is_taken = is_of_use;
        if is_of_use {
            self.pulse.progressed(self.shared.clock.now());
            if self.is_worker() {
                self.hand_out(grant);
            } else {
                is_taken = self.launch(grant);
            }
        }
        if is_taken {
            self.offer(cx);
        } else {
            // A plan that brought nothing, or nothing that could be started, would bring no more at once.
            self.offer_later(cx);
        }
        self.end_overdue(cx);
        Reply::Now(())
    }
}

impl AgentActor {
    fn hand_out(&mut self, mut grant: LeaseGrant) {
        while !grant.is_empty() {
            let Some(waiter) = self.waiters.pop_front() else { break };
            let part = grant.split(waiter.call.max);
            // A client that is gone gives its part to the next call.
            if let Err(Ok(Some(part))) = waiter.reply.send(Ok(Some(part))) {
                grant.join(part);
            }
        }
        if self.shared.phase() == Phase::Serving {
            self.consumers.give(&mut grant);
        }
        // Nobody takes the rest: dropping the grant hands it back.
    }
}
