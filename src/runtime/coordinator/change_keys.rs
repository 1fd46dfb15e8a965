//! An API key is made or removed: the ring learns it right after the commit, before the answer goes out.

use store::command::{CreateApiKey, RemoveApiKey, Write};
use store::outcome::{ApiKeyCreated, ApiKeyRemoved};
use supervision::{Context, Handle, Reply};
use tokio::sync::oneshot;

use super::Coordinator;
use crate::error::Error;
use crate::key_ring::KeyRing;

/// Write `command`; the answer goes to `reply` after the commit, when the ring has it.
pub struct ChangeKeys<C: KeyChange> {
    /// What to write.
    pub command: C,
    /// Who waits for the answer. The ring learns of a commit whether somebody still waits or not; nothing is begun that
    /// nobody waits for.
    pub reply: oneshot::Sender<Result<C::Answer, Error>>,
}

/// A command that changes the keys.
pub trait KeyChange: Write + Clone {
    /// What the ring learns from its answer.
    fn learn(&self, answer: &Self::Answer, ring: &KeyRing);
}

impl KeyChange for CreateApiKey {
    fn learn(&self, answer: &ApiKeyCreated, ring: &KeyRing) {
        match answer {
            ApiKeyCreated::Accepted(key) | ApiKeyCreated::Replayed(key) => ring.put(key),
            ApiKeyCreated::KeyMismatch
            | ApiKeyCreated::NameTaken
            | ApiKeyCreated::UnknownAgent
            | ApiKeyCreated::TooMany => {}
        }
    }
}

impl KeyChange for RemoveApiKey {
    fn learn(&self, answer: &ApiKeyRemoved, ring: &KeyRing) {
        match answer {
            // There is none any more, whoever has removed it.
            ApiKeyRemoved::Done(_) | ApiKeyRemoved::NotFound => ring.remove(self.tenant, self.id),
        }
    }
}

impl<C: KeyChange> actix::Message for ChangeKeys<C> {
    type Result = ();
}

impl<C: KeyChange> Handle<ChangeKeys<C>> for Coordinator {
    fn handle(&mut self, message: ChangeKeys<C>, _: &mut Context<Self>) -> Reply<()> {
        let ChangeKeys { command, reply } = message;
        let (shared, sent) = (self.shared.clone(), command.clone());
        // When the queue is full the reply is dropped with the closure; its waiter reads that as overload.
        let _ = self.shared.writer.send_for(reply, command, move |reply, outcome| {
            if let Ok(answer) = &outcome {
                sent.learn(answer, &shared.key_ring);
            }
            let _ = reply.send(outcome.map_err(Error::from));
        });
        Reply::Now(())
    }
}
