//! An agent says how many assignments its workers wait for; the answer says what is on its way.

use domain::AgentId;
use supervision::{Context, Handle, Reply};

use super::Coordinator;
use super::books::UnderWay;

/// So many assignments are wanted now. Answers what is on its way.
pub struct Offer {
    /// By whom.
    pub agent: AgentId,
    /// How many, those on their way included.
    pub wanted: u32,
    /// How many deliveries the agent's actor had seen when it counted.
    pub seen_deliveries: u64,
}

impl actix::Message for Offer {
    type Result = UnderWay;
}

impl Handle<Offer> for Coordinator {
    fn handle(&mut self, message: Offer, cx: &mut Context<Self>) -> Reply<UnderWay> {
        self.books.offer(message.agent, message.wanted, message.seen_deliveries);
        let (promise, promised) = Reply::promise();
        self.offers.push((message.agent, promise));
        self.plan_soon(cx);
        promised
    }
}

impl Coordinator {
    /// Answers the offers that the plan had before it.
    pub(crate) fn answer_offers(&mut self) {
        for (agent, promise) in std::mem::take(&mut self.offers) {
            promise.fulfil(self.books.under_way(agent));
        }
    }
}
