//! An operator restarts an agent: its actor begins anew, also one that was given up.

use domain::{AgentId, Health};
use store::command::{AgentEdit, ChangeAgent};
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;

use super::{Apply, Coordinator};
use crate::caller::Caller;

/// Begin the actor of this agent anew. Waiting lease calls end; attempts that run keep their leases. Answers whether
/// there is such an agent.
pub struct RestartAgent {
    /// Who asks.
    pub caller: Caller,
    /// Which agent.
    pub agent: AgentId,
}

impl actix::Message for RestartAgent {
    type Result = bool;
}

impl Handle<RestartAgent> for Coordinator {
    fn handle(&mut self, message: RestartAgent, cx: &mut Context<Self>) -> Reply<bool> {
        let RestartAgent { caller, agent } = message;
        let Some(seat) = self.shared.directory.seat(agent).filter(|seat| seat.agent.tenant == caller.tenant)
        else {
            return Reply::Now(false);
        };
        if !self.restarting.insert(agent) {
            return Reply::Now(true);
        }
        let (promise, reply) = Reply::promise();
        let agents = self.shared.agents.clone();
        let stop = async move { agents.stop_child(&agent.to_string()).await };
        cx.spawn(stop, move |coordinator, _, cx| {
            coordinator.restarting.remove(&agent);
            coordinator.shared.directory.remove(agent);
            if seat.agent.health == Health::Failed {
                coordinator.observe(&caller, agent, Health::Offline, cx);
            }
            // What is stored by now counts, not what was known before; a removed one stays away.
            coordinator.refresh_agent(caller.tenant, agent, None, cx);
            promise.fulfil(true);
        });
        reply
    }
}

impl Coordinator {
    /// Stores what was observed of an agent.
    pub(crate) fn observe(
        &mut self,
        caller: &Caller,
        agent: AgentId,
        health: Health,
        cx: &mut Context<Self>,
    ) {
        let command = ChangeAgent {
            tenant: caller.tenant,
            agent,
            change: AgentEdit::Observe(health),
            correlation_id: caller.correlation_id.clone(),
        };
        let (reply, _) = oneshot::channel();
        let _: Reply<()> = self.handle(Apply { command, reply, is_for_caller: false }, cx);
    }
}
