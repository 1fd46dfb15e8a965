//! An agent's actor panicked too often and was removed: the agent is `failed` until somebody restarts it.

use domain::{AgentId, Health};
use supervision::{Context, Handle, Reply};

use super::Coordinator;
use crate::caller::Caller;

/// The supervisor gave the actor of this agent up.
pub struct AgentGivenUp {
    /// Which agent.
    pub agent: AgentId,
}

impl actix::Message for AgentGivenUp {
    type Result = ();
}

impl Handle<AgentGivenUp> for Coordinator {
    fn handle(&mut self, message: AgentGivenUp, cx: &mut Context<Self>) -> Reply<()> {
        let Some(seat) = self.shared.directory.seat(message.agent) else { return Reply::Now(()) };
        let under_way = self.books.under_way(message.agent);
        self.books.offer(message.agent, 0, under_way.deliveries);
        let caller = Caller { tenant: seat.agent.tenant, ..Caller::hive() };
        self.observe(&caller, message.agent, Health::Failed, cx);
        Reply::Now(())
    }
}
