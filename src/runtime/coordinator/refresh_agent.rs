//! Agents come, change and go: each has an actor as long as it is registered.

use std::sync::Arc;
use std::time::Duration;

use domain::{Agent, AgentId, Health, TenantId, Timestamp};
use store::error::ReadError;
use supervision::{CallError, ChildSpec, Context, Handle, Promise, Reply, Restart};

use super::Coordinator;
use super::refresh::Refresh;
use crate::agent::{AgentActor, Changed};
use crate::board::Pulse;
use crate::directory::Seat;

/// How long it waits before it asks a store again that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Something of this agent is stored: read it, and give it an actor, tell its actor, or end its actor. Done when the
/// answer comes.
pub struct RefreshAgent {
    /// Whose.
    pub tenant: TenantId,
    /// Which agent.
    pub agent: AgentId,
}

impl actix::Message for RefreshAgent {
    type Result = ();
}

impl Handle<RefreshAgent> for Coordinator {
    fn handle(&mut self, message: RefreshAgent, cx: &mut Context<Self>) -> Reply<()> {
        let (promise, reply) = Reply::promise();
        self.refresh_agent(message.tenant, message.agent, Some(promise), cx);
        reply
    }
}

impl Coordinator {
    /// Reads an agent, now or once the read that is under way has ended.
    pub(crate) fn refresh_agent(
        &mut self,
        tenant: TenantId,
        agent: AgentId,
        promise: Option<Promise<()>>,
        cx: &mut Context<Self>,
    ) {
        if self.refreshes.entry(agent).or_default().ask(promise) {
            self.read_agent(tenant, agent, cx);
        }
    }

    fn read_agent(&mut self, tenant: TenantId, agent: AgentId, cx: &mut Context<Self>) {
        let shared = self.shared.clone();
        let read = async move { shared.readers.agent(tenant, agent).await };
        cx.spawn(read, move |coordinator, found, cx| coordinator.agent_read((tenant, agent), found, cx));
    }

    fn agent_read(
        &mut self,
        (tenant, agent): (TenantId, AgentId),
        found: Result<Option<Agent>, ReadError>,
        cx: &mut Context<Self>,
    ) {
        match found {
            Ok(Some(found)) => self.adopt(found, cx),
            Ok(None) => self.drop_agent(agent, cx),
            Err(error) => {
                tracing::warn!(agent.id = %agent, %error, "the coordinator cannot read an agent; trying again");
                cx.spawn(tokio::time::sleep(RETRY), move |coordinator, (), cx| {
                    coordinator.read_agent(tenant, agent, cx);
                });
                return;
            }
        }
        if self.refreshes.get_mut(&agent).is_some_and(Refresh::end) {
            self.read_agent(tenant, agent, cx);
        } else {
            self.refreshes.remove(&agent);
        }
        self.dispatch(cx);
    }

    pub(crate) fn adopt(&mut self, agent: Agent, cx: &Context<Self>) {
        let agent = Arc::new(agent);
        self.books.put_agent(&agent);
        let directory = &self.shared.directory;
        if let Some(seat) = directory.seat(agent.id) {
            directory.put(Seat { agent: Arc::clone(&agent), ..seat.clone() });
            let is_gone = matches!(seat.actor.tell(Changed), Err(CallError::Closed { .. }));
            // One that was given up waits for an operator; one whose supervisor began anew is started again.
            if !is_gone || agent.health == Health::Failed {
                return;
            }
        }
        let pulse = Arc::new(Pulse::new(Timestamp::ZERO));
        let (shared, coordinator) = (self.shared.clone(), cx.actor_ref());
        let (first, beat) = (Arc::clone(&agent), Arc::clone(&pulse));
        let spec = ChildSpec::new(agent.id.to_string(), move || {
            AgentActor::new(shared.clone(), coordinator.clone(), Arc::clone(&first), Arc::clone(&beat))
        })
        .restart(Restart::Permanent);
        let actor = spec.actor_ref();
        directory.put(Seat { agent: Arc::clone(&agent), actor, pulse });
        if let Err(error) = self.shared.agents.start_child(spec) {
            // Without a seat, the next call for this agent tries again.
            directory.remove(agent.id);
            tracing::warn!(agent.id = %agent.id, %error, "the actor of an agent was not started");
        }
    }

    pub(crate) fn drop_agent(&mut self, agent: AgentId, cx: &mut Context<Self>) {
        self.books.remove_agent(agent);
        if self.shared.directory.remove(agent).is_some() {
            let agents = self.shared.agents.clone();
            cx.spawn(async move { agents.stop_child(&agent.to_string()).await }, |_, _, _| {});
        }
    }
}
