//! A task is submitted: gets its id, finds its lane empty or not, goes to the writer.

use std::sync::Arc;

use domain::{AcceptedTask, AgentId, Name, NewTask, Start, TenantId};
use store::command::IdempotencyKey;
use store::outcome::{ClaimedTask, Submitted};
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;

use super::{Coordinator, push_news};
use crate::caller::Caller;
use crate::error::Error;
use crate::inbox::{ClaimsBack, News};
use crate::shared::Phase;

/// Submit `asked`; the answer goes to `reply` after the commit.
pub struct SubmitTask {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub asked: NewTask,
    /// Guards against a second submit of the same request.
    pub key: Option<IdempotencyKey>,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<Submitted, Error>>,
}

impl actix::Message for SubmitTask {
    type Result = ();
}

impl Handle<SubmitTask> for Coordinator {
    fn handle(&mut self, message: SubmitTask, cx: &mut Context<Self>) -> Reply<()> {
        // A caller that was told 503 meanwhile must not find its task stored after all.
        if !message.reply.is_closed() {
            self.submit(message, cx);
        }
        Reply::Now(())
    }
}

impl Coordinator {
    fn submit(&mut self, message: SubmitTask, cx: &Context<Self>) {
        let SubmitTask { caller, asked, key, reply } = message;
        if let Some(refusal) = self.refusal(&caller, &asked, 0) {
            let _ = reply.send(Err(refusal));
            return;
        }
        let eager = (self.is_ready && asked.start == Start::Now)
            .then(|| self.books.eager_agent(&asked.lane(caller.tenant)))
            .flatten();
        let command = self.command(&caller, asked, key, eager.map(|(_, agent)| agent));
        let Some((from, agent)) = eager else {
            // When the queue is full the reply is dropped with the closure; its waiter reads that as overload.
            let _ = self.shared.writer.send(command, move |outcome| {
                let _ = reply.send(outcome.map_err(Error::from));
            });
            return;
        };
        self.books.reserve(agent, from, 1);
        let (shared, coordinator) = (self.shared.clone(), cx.actor_ref());
        let sent = self.shared.writer.send(command, move |outcome| {
            let claimed = eagerly_claimed(outcome.as_ref().ok());
            push_news(&shared, &coordinator, News::Claimed(ClaimsBack { agent, from, planned: 1, claimed }));
            let _ = reply.send(outcome.map_err(Error::from));
        });
        if sent.is_err() {
            self.books.unreserve(agent, from, 1);
        }
    }

    /// What the writer is asked to store.
    pub(super) fn command(
        &self,
        caller: &Caller,
        asked: NewTask,
        key: Option<IdempotencyKey>,
        eager: Option<AgentId>,
    ) -> store::command::SubmitTask {
        store::command::SubmitTask {
            task: AcceptedTask {
                id: self.shared.next_task_id(),
                tenant: caller.tenant,
                asked,
                created_by: caller.principal.to_string(),
                correlation_id: Arc::clone(&caller.correlation_id),
            },
            key,
            eager,
            lease_ttl_ms: self.shared.settings.lease_ttl_ms,
        }
    }

    /// How many tasks wait in a queue; as the projection has it while the books are not whole.
    fn waiting_in(&self, tenant: TenantId, queue: &Name) -> u64 {
        if self.is_ready {
            return self.books.waiting_in(tenant, queue);
        }
        self.shared.feed.read(|projection| projection.queue(tenant, queue)).counts.waiting()
    }

    /// Why a task cannot be submitted now; `more` come into its queue before it.
    pub(super) fn refusal(&self, caller: &Caller, asked: &NewTask, more: u64) -> Option<Error> {
        let max = self.shared.settings.limits.queue_tasks_max;
        match self.shared.phase() {
            Phase::Starting => Some(Error::NotReady("starting")),
            Phase::Draining => Some(Error::NotReady("draining")),
            Phase::Serving if self.waiting_in(caller.tenant, &asked.queue).saturating_add(more) >= max => {
                Some(Error::QueueFull { queue: asked.queue.clone(), max })
            }
            Phase::Serving => None,
        }
    }
}

fn eagerly_claimed(outcome: Option<&Submitted>) -> Vec<ClaimedTask> {
    match outcome {
        Some(Submitted::Accepted { claimed: Some(claimed), .. }) => vec![ClaimedTask::clone(claimed)],
        Some(_) | None => Vec::new(),
    }
}
