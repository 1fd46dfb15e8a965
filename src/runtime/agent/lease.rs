//! A worker asks for assignments and may wait for them.

use std::time::Duration;

use domain::{Health, TenantId};
use store::command::{AgentEdit, ChangeAgent};
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{AgentActor, LEASE_CALLS_MAX, LeaseGrant};
use crate::caller::Caller;
use crate::coordinator::Apply;
use crate::error::Error;
use crate::shared::Phase;

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct LeaseCall {
    /// At most so many assignments.
    pub max: u32,
    /// How long it waits for the first one.
    pub wait: Duration,
    /// Which worker asks; a newer call of the same one ends the older.
    pub worker_instance: Option<String>,
}

/// A worker's call.
pub struct Lease {
    /// Whose agent is meant.
    pub tenant: TenantId,
    /// What it asks for.
    pub call: LeaseCall,
    /// Who waits for the answer; `None` where the agent is of another tenant.
    pub reply: oneshot::Sender<Result<Option<LeaseGrant>, Error>>,
}

impl actix::Message for Lease {
    type Result = ();
}

/// A call that waits.
pub(crate) struct Waiter {
    pub(crate) call: LeaseCall,
    pub(crate) until: Instant,
    pub(crate) reply: oneshot::Sender<Result<Option<LeaseGrant>, Error>>,
}

impl Handle<Lease> for AgentActor {
    fn handle(&mut self, message: Lease, cx: &mut Context<Self>) -> Reply<()> {
        let Lease { tenant, call, reply } = message;
        if tenant != self.agent.tenant {
            let _ = reply.send(Ok(None));
            return Reply::Now(());
        }
        if !self.is_worker() {
            let _ = reply.send(Err(Error::NotAWorker));
            return Reply::Now(());
        }
        self.pulse.saw(self.shared.clock.now());
        self.revive();
        self.supersede(call.worker_instance.as_deref());
        // Calls whose clients are gone want nothing any more.
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        if self.waiters.len() + self.consumers.len() >= LEASE_CALLS_MAX {
            self.consumers.forget_gone();
        }
        if self.waiters.len() + self.consumers.len() >= LEASE_CALLS_MAX {
            let _ = reply.send(Err(Error::Overloaded));
            return Reply::Now(());
        }
        let waiter = Waiter { until: Instant::now() + call.wait, call, reply };
        if self.agent.is_draining || self.shared.phase() != Phase::Serving {
            self.dismiss(waiter);
            return Reply::Now(());
        }
        self.waiters.push_back(waiter);
        self.offer(cx);
        self.end_overdue(cx);
        Reply::Now(())
    }
}

impl AgentActor {
    /// Answers a call with nothing.
    pub(crate) fn dismiss(&self, waiter: Waiter) {
        let grant = LeaseGrant::new(Vec::new(), self.coordinator.clone(), self.shared.metrics.clone());
        let _ = waiter.reply.send(Ok(Some(grant)));
    }

    /// Answers all calls with nothing.
    pub(crate) fn dismiss_all(&mut self) {
        for waiter in std::mem::take(&mut self.waiters) {
            self.dismiss(waiter);
        }
    }

    fn supersede(&mut self, instance: Option<&str>) {
        let Some(instance) = instance else { return };
        let (older, others) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| waiter.call.worker_instance.as_deref() == Some(instance));
        self.waiters = others;
        for waiter in older {
            self.shared.metrics.leases.with_label_values(&["superseded"]).inc();
            self.dismiss(waiter);
        }
    }

    /// A worker is there: an agent that was noted as offline is not.
    pub(crate) fn revive(&mut self) {
        if self.agent.health == Health::Active || self.agent.health == Health::Stalled || self.is_reviving {
            return;
        }
        let command = ChangeAgent {
            tenant: self.agent.tenant,
            agent: self.agent.id,
            change: AgentEdit::Observe(Health::Active),
            correlation_id: Caller::hive().correlation_id,
        };
        let (reply, _) = oneshot::channel();
        self.is_reviving = self.coordinator.tell(Apply { command, reply, is_for_caller: false }).is_ok();
    }
}
