//! What the sessions of workers need beside reports.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::{AgentId, TaskId, TaskState};
use store::outcome::ClaimedTask;
use store::record::TaskDetail;
use tokio::sync::{mpsc, oneshot};

use super::{ANSWER_WITHIN, RuntimeHandle, within};
use crate::agent::{Consume, Consumer, LeaseGrant};
use crate::caller::Caller;
use crate::error::Error;
use crate::task::{AttemptNews, Attend};

/// Who attends an attempt.
#[derive(Debug, Clone)]
pub struct Attendance {
    /// The agent that must hold it.
    pub agent: AgentId,
    /// Which process of the agent.
    pub instance: Arc<str>,
    /// Where news of it go; never more than two words an attempt.
    pub told: mpsc::UnboundedSender<AttemptNews>,
}

impl RuntimeHandle {
    /// Whether an agent is one whose work is asked for from outside; `None` where there is no such agent, or the caller is
    /// another one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn is_worker(&self, caller: &Caller, agent: AgentId) -> Result<Option<bool>, Error> {
        if caller.agent.is_some_and(|own| own != agent) {
            return Ok(None);
        }
        let seat = self.seat(caller, agent).await?.filter(|seat| seat.agent.tenant == caller.tenant);
        Ok(seat.map(|seat| seat.agent.asked.link.process().is_none()))
    }

    /// Begins to take an agent's assignments as they come; `None` where there is no such agent, or the caller is another one.
    /// The grants end when the agent's actor begins anew or is removed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn consume(
        &self,
        caller: &Caller,
        agent: AgentId,
    ) -> Result<Option<(Consumer, mpsc::UnboundedReceiver<LeaseGrant>)>, Error> {
        self.shared.refuse_unless_serving()?;
        if caller.agent.is_some_and(|own| own != agent) {
            return Ok(None);
        }
        let Some(seat) = self.seat(caller, agent).await? else { return Ok(None) };
        let number = self.shared.consumers.fetch_add(1, Ordering::Relaxed);
        let (grants, granted) = mpsc::unbounded_channel();
        let (reply, answer) = oneshot::channel();
        let unheard = Arc::default();
        let consume = Consume { tenant: caller.tenant, number, grants, unheard: Arc::clone(&unheard), reply };
        seat.actor.tell(consume)?;
        // From here on, whoever drops it leaves.
        let consumer = Consumer { number, actor: seat.actor, unheard };
        Ok(within(ANSWER_WITHIN, answer).await?.map(|()| (consumer, granted)))
    }

    /// A session attends an attempt from now on. It goes back, uncharged, unless its holder gave a sign of life or gives
    /// one within `sign_within`. Answers whether the agent holds it.
    #[must_use]
    pub fn attend(
        &self,
        (task, attempt): (TaskId, u32),
        attendance: &Attendance,
        sign_within: Duration,
    ) -> bool {
        let Attendance { agent, instance, told } = attendance;
        let actor = self.shared.board.held_by(task, attempt, *agent, instance);
        actor.is_some_and(|actor| actor.tell(Attend { told: told.clone(), sign_within }).is_ok())
    }

    /// What a process of an agent holds, as far as it came over sessions of this run of the hive: as it was claimed, with
    /// the lease as it is stored.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn holdings(
        &self,
        caller: &Caller,
        agent: AgentId,
        instance: &str,
    ) -> Result<Vec<ClaimedTask>, Error> {
        let mut holdings = Vec::new();
        for (task, attempt) in self.shared.board.holdings(agent, instance) {
            let Some(found) = self.shared.readers.task(caller.tenant, task).await? else { continue };
            holdings.extend(claimed(found, attempt, self.shared.settings.lease_ttl_ms));
        }
        Ok(holdings)
    }
}

/// A task that is worked on, as its attempt was claimed; `None` where that has ended meanwhile.
fn claimed(detail: TaskDetail, attempt: u32, lease_ttl_ms: u64) -> Option<ClaimedTask> {
    let TaskDetail { record, input, .. } = detail;
    if record.status.state != TaskState::Working || record.status.attempt != attempt {
        return None;
    }
    let started_at = record.started_at?;
    Some(ClaimedTask {
        task: record.id,
        attempt,
        agent: record.agent?,
        title: record.title,
        kind: record.kind,
        queue: record.queue,
        priority: record.priority,
        input,
        labels: record.labels,
        lease_ttl_ms: record.timeouts.lease_ttl_ms(lease_ttl_ms),
        lease_expires_at: record.lease_expires_at?,
        ready_at: record.eligible_at.unwrap_or(started_at),
        started_at,
        timeouts: record.timeouts,
        correlation_id: record.correlation_id,
    })
}
