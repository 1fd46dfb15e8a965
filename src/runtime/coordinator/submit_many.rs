//! Many tasks are submitted: they share one commit, and each has its own answer.

use std::collections::HashMap;

use domain::{Name, NewTask};
use store::command::IdempotencyKey;
use store::outcome::Submitted;
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;

use super::Coordinator;
use super::submit_task::Admitted;
use crate::caller::Caller;
use crate::error::Error;

/// What becomes of each task, in the order in which they were asked for.
pub type SubmittedMany = Vec<Result<Submitted, Error>>;

/// Submit all of `asked`; the answer goes to `reply` after the commit.
pub struct SubmitMany {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub asked: Vec<(NewTask, Option<IdempotencyKey>)>,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<SubmittedMany, Error>>,
}

impl actix::Message for SubmitMany {
    type Result = ();
}

impl Handle<SubmitMany> for Coordinator {
    fn handle(&mut self, message: SubmitMany, _: &mut Context<Self>) -> Reply<()> {
        let SubmitMany { caller, asked, reply } = message;
        // A caller that was told 503 meanwhile must not find its tasks stored after all.
        if reply.is_closed() {
            return Reply::Now(());
        }
        let mut admitted = Vec::with_capacity(asked.len());
        let mut tasks = Vec::with_capacity(asked.len());
        let mut more: HashMap<Name, u64> = HashMap::new();
        for (asked, key) in asked {
            let more = more.entry(asked.queue.clone()).or_default();
            let admission = self.admit(&caller, &asked, key.as_ref(), *more);
            if let Ok(admitted) = &admission {
                *more = more.saturating_add(1);
                // None of them begins at once: the next plan takes as many as there is room for.
                tasks.push(self.command(&caller, asked, key, admitted.has_room()));
            }
            admitted.push(admission);
        }
        // When the queue is full the reply is dropped with the closure; its waiter reads that as overload.
        let command = store::command::SubmitMany { tasks };
        let _ = self.shared.writer.send_for(reply, command, move |reply, outcome| {
            let answer = outcome.map_err(Error::from).map(|stored| merged(admitted, stored));
            let _ = reply.send(answer);
        });
        Reply::Now(())
    }
}

/// The answers in the order of the request: each admitted one has the next answer of the store.
fn merged(admitted: Vec<Result<Admitted, Error>>, stored: Vec<Submitted>) -> SubmittedMany {
    let mut stored = stored.into_iter();
    let answer =
        |admitted: Result<Admitted, Error>| admitted?.answer(stored.next().ok_or(Error::Overloaded)?);
    admitted.into_iter().map(answer).collect()
}
