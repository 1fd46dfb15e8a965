//! A worker reports the end of an attempt: what comes next into its slot is claimed behind it, in the same batch if that is
//! still open.

use domain::TaskId;
use store::command::FinishAttempt;
use store::outcome::Finished;
use supervision::{ActorRef, Context, Handle, Reply};
use tokio::sync::oneshot;

use super::{Coordinator, push_news};
use crate::error::Error;
use crate::inbox::News;
use crate::shared::SharedRef;

/// Write the end of an attempt; the answer goes to `reply` after the commit. Skipped when nobody waits for that any more
/// before it is begun.
pub struct Finish {
    /// What to write.
    pub command: FinishAttempt,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<Finished, Error>>,
}

impl actix::Message for Finish {
    type Result = ();
}

/// Says that an attempt has not ended, unless an event says that it has.
struct Doubt {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    attempt: (TaskId, u32),
    has_ended: bool,
}

impl Doubt {
    fn settle(mut self, has_ended: bool) {
        self.has_ended = has_ended;
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if !self.has_ended {
            let (task, attempt) = self.attempt;
            push_news(&self.shared, &self.coordinator, News::NotEnded(task, attempt));
        }
    }
}

impl Handle<Finish> for Coordinator {
    fn handle(&mut self, message: Finish, cx: &mut Context<Self>) -> Reply<()> {
        let Finish { command, reply } = message;
        if reply.is_closed() {
            return Reply::Now(());
        }
        let (task, attempt) = (command.task, command.attempt);
        let (shared, coordinator) = (self.shared.clone(), cx.actor_ref());
        let doubt = Doubt { shared, coordinator, attempt: (task, attempt), has_ended: false };
        // When the queue is full the reply is dropped with the closure; its waiter reads that as overload.
        let sent = self.shared.writer.send_for(reply, command, move |reply, outcome| {
            doubt.settle(matches!(outcome, Ok(Finished::Done { .. })));
            let _ = reply.send(outcome.map_err(Error::from));
        });
        if sent.is_ok() && self.books.ends(task, attempt) {
            self.plan_soon(cx);
        }
        Reply::Now(())
    }
}
