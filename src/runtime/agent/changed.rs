//! What is stored of the agent has changed: the directory has it.

use std::sync::Arc;

use supervision::{Context, Handle, Reply};

use super::AgentActor;

/// Look at the directory.
pub struct Changed;

impl actix::Message for Changed {
    type Result = ();
}

impl Handle<Changed> for AgentActor {
    fn handle(&mut self, _: Changed, cx: &mut Context<Self>) -> Reply<()> {
        if let Some(seat) = self.shared.directory.seat(self.agent.id) {
            self.agent = Arc::clone(&seat.agent);
        }
        self.is_reviving = false;
        if self.agent.is_draining {
            self.dismiss_all();
        }
        // Also after the coordinator began anew and has forgotten what is wanted.
        self.offer(cx);
        Reply::Now(())
    }
}

/// The hive drains: end all calls that wait.
pub struct DismissAll;

impl actix::Message for DismissAll {
    type Result = ();
}

impl Handle<DismissAll> for AgentActor {
    fn handle(&mut self, _: DismissAll, _: &mut Context<Self>) -> Reply<()> {
        self.dismiss_all();
        Reply::Now(())
    }
}
