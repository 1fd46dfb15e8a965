//! Every other write: handed to the writer in the order it came.

use store::command::Write;
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;

use super::Coordinator;
use crate::error::Error;

/// Write `command`; the answer goes to `reply` after the commit.
pub struct Apply<C: Write> {
    /// What to write.
    pub command: C,
    /// Who waits for the answer. Janitors and hand-backs let theirs go: such writes are made all the same.
    pub reply: oneshot::Sender<Result<C::Answer, Error>>,
    /// Whether it is skipped when nobody waits any more before it is begun.
    pub is_for_caller: bool,
}

impl<C: Write> actix::Message for Apply<C> {
    type Result = ();
}

impl<C: Write> Handle<Apply<C>> for Coordinator {
    fn handle(&mut self, message: Apply<C>, _: &mut Context<Self>) -> Reply<()> {
        let Apply { command, reply, is_for_caller } = message;
        let writer = &self.shared.writer;
        // When the queue is full the reply is dropped with the closure; its waiter reads that as overload.
        let _ = if !is_for_caller {
            writer.send(command, move |outcome| drop(reply.send(outcome.map_err(Error::from))))
        } else if !reply.is_closed() {
            writer.send_for(reply, command, |reply, outcome| drop(reply.send(outcome.map_err(Error::from))))
        } else {
            Ok(())
        };
        Reply::Now(())
    }
}
