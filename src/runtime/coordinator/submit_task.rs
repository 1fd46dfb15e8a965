//! A task is submitted: gets its id, finds its lane empty or not, goes to the writer.

use std::sync::Arc;

use domain::{AcceptedTask, Name, NewTask, Start, TenantId};
use store::command::IdempotencyKey;
use store::error::WriteError;
use store::outcome::{ClaimedTask, Submitted};
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;

use super::{Coordinator, push_news};
use crate::caller::Caller;
use crate::error::Error;
use crate::inbox::{ClaimsBack, News};

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
        let admitted = match self.admit(&caller, &asked, key.as_ref(), 0) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
                return;
            }
        };
        let eager = (self.is_ready && asked.start == Start::Now && admitted.has_room())
            .then(|| self.books.eager_agent(&asked.lane(caller.tenant)))
            .flatten();
        let mut command = self.command(&caller, asked, key, admitted.has_room());
        command.eager = eager.map(|(_, agent)| agent);
        let Some((from, agent)) = eager else {
            // When the queue is full the reply is dropped with the closure; its waiter reads that as overload.
            let _ = self.shared.writer.send_for(reply, command, move |reply, outcome| {
                let _ = reply.send(outcome.map_err(Error::from).and_then(|stored| admitted.answer(stored)));
            });
            return;
        };
        self.books.reserve(agent, from, 1);
        let (shared, coordinator) = (self.shared.clone(), cx.actor_ref());
        let sent = self.shared.writer.send_for(reply, command, move |reply, outcome| {
            let claimed = eagerly_claimed(&outcome);
            push_news(&shared, &coordinator, News::Claimed(ClaimsBack { agent, from, planned: 1, claimed }));
            let _ = reply.send(outcome.map_err(Error::from).and_then(|stored| admitted.answer(stored)));
        });
        if sent.is_err() {
            self.books.unreserve(agent, from, 1);
        }
    }

    /// What the writer is asked to store; nobody is to begin with it at once.
    pub(super) fn command(
        &self,
        caller: &Caller,
        asked: NewTask,
        key: Option<IdempotencyKey>,
        has_room: bool,
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
            eager: None,
            lease_ttl_ms: self.shared.settings.lease_ttl_ms,
            has_room,
        }
    }

    /// How many tasks wait in a queue; as the projection has it while the books are not whole.
    fn waiting_in(&self, tenant: TenantId, queue: &Name) -> u64 {
        if self.is_ready {
            return self.books.waiting_in(tenant, queue);
        }
        self.shared.feed.read(|projection| projection.queue(tenant, queue)).counts.waiting()
    }

    /// Whether a task is to be sent to the writer now; `more` come into its queue before it. With a full queue, only
    /// one that may have been accepted before is.
    pub(super) fn admit(
        &self,
        caller: &Caller,
        asked: &NewTask,
        key: Option<&IdempotencyKey>,
        more: u64,
    ) -> Result<Admitted, Error> {
        self.shared.refuse_unless_serving()?;
        let max = self.shared.settings.limits.queue_tasks_max;
        if self.waiting_in(caller.tenant, &asked.queue).saturating_add(more) < max {
            return Ok(Admitted { refusal: None });
        }
        let refusal = Error::QueueFull { queue: asked.queue.clone(), max };
        if key.is_some() || asked.unique.is_some() {
            Ok(Admitted { refusal: Some(refusal) })
        } else {
            Err(refusal)
        }
    }
}

/// A submit that goes to the writer.
pub(super) struct Admitted {
    /// The answer, should it be new: its queue is full.
    refusal: Option<Error>,
}

impl Admitted {
    pub(super) const fn has_room(&self) -> bool {
        self.refusal.is_none()
    }

    /// What the caller is told of what the store said.
    pub(super) fn answer(self, stored: Submitted) -> Result<Submitted, Error> {
        match (stored, self.refusal) {
            (Submitted::QueueFull, Some(refusal)) => Err(refusal),
            (stored, _) => Ok(stored),
        }
    }
}

fn eagerly_claimed(outcome: &Result<Submitted, WriteError>) -> Option<Vec<ClaimedTask>> {
    match outcome {
        Ok(Submitted::Accepted { claimed: Some(claimed), .. }) => Some(vec![ClaimedTask::clone(claimed)]),
        Ok(_) | Err(WriteError::Overloaded | WriteError::NotBegun(_) | WriteError::Refused(_)) => {
            Some(Vec::new())
        }
        Err(WriteError::Unavailable(_)) => None,
    }
}
