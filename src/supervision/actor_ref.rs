//! How anybody reaches an actor: a reference that outlives its incarnations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use tokio::sync::oneshot;

use crate::entry::ActorState;
use crate::mailbox::{Ask, Mailbox};
use crate::slot::Slot;
use crate::{Behaviour, CallError, Handle};

/// A reference to an actor. Cheap to clone, usable from every thread, good for the life of the child spec: over
/// restarts (same mailbox) and when a whole subtree is started anew (a new mailbox in the same place).
///
/// Before the actor is started and after it is gone, calls return [`CallError::Closed`].
pub struct ActorRef<B: Behaviour> {
    slot: Arc<Slot<Mailbox<B>>>,
}

impl<B: Behaviour> ActorRef<B> {
    pub(crate) fn new(slot: Arc<Slot<Mailbox<B>>>) -> Self {
        Self { slot }
    }

    /// Queues a message; its result is dropped.
    ///
    /// # Errors
    /// [`CallError::Full`] and [`CallError::Closed`], at once.
    pub fn tell<M>(&self, msg: M) -> Result<(), CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.slot.look(|mailbox| self.post(mailbox, Ask { msg, answer: None }))
    }

    /// Queues a message now; the answer is awaited later.
    ///
    /// A message whose [`PendingAnswer`] is dropped before the actor takes it is not handled.
    ///
    /// # Errors
    /// [`CallError::Full`] and [`CallError::Closed`], at once.
    pub fn request<M>(&self, msg: M) -> Result<PendingAnswer<B, M::Result>, CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let (answer, pending) = oneshot::channel();
        let ask = Ask { msg, answer: Some(answer) };
        let mailbox = self.slot.look(|mailbox| {
            self.post(mailbox, ask)?;
            mailbox.map(Arc::clone).ok_or_else(|| self.closed())
        })?;
        Ok(PendingAnswer { mailbox, pending })
    }

    /// Sends a message and waits for the answer. A full mailbox refuses at once.
    ///
    /// # Errors
    /// [`CallError`], except `TimedOut`. There is no limit of time: while the actor restarts, the message waits.
    pub async fn ask<M>(&self, msg: M) -> Result<M::Result, CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.request(msg)?.answer().await
    }

    /// Like [`ask`](Self::ask), but waits for room in the mailbox.
    ///
    /// # Errors
    /// [`CallError`], except `Full` and `TimedOut`.
    pub async fn ask_waiting<M>(&self, msg: M) -> Result<M::Result, CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let mailbox = self.slot.get().ok_or_else(|| self.closed())?;
        mailbox.entry.gate.enter().await.map_err(|refusal| mailbox.refusal(refusal))?;
        let (answer, pending) = oneshot::channel();
        mailbox.post(Ask { msg, answer: Some(answer) })?;
        PendingAnswer { mailbox, pending }.answer().await
    }

    /// Like [`ask`](Self::ask), for at most `within`.
    ///
    /// # Errors
    /// [`CallError`]. After `TimedOut` the message is not handled if it still waited, and may have been otherwise.
    pub async fn ask_within<M>(&self, msg: M, within: Duration) -> Result<M::Result, CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match tokio::time::timeout(within, self.ask(msg)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::TimedOut { path: self.path(), within }),
        }
    }

    /// How many messages wait in the mailbox.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.slot.look(|mailbox| mailbox.map_or(0, |mailbox| mailbox.entry.gate.depth()))
    }

    /// Whether an incarnation is alive and takes messages.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.slot.look(|mailbox| mailbox.is_some_and(|mailbox| mailbox.entry.state() == ActorState::Running))
    }

    /// Where the actor is in the tree; only its id before it is started. Formatted at each call.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.slot
            .look(|mailbox| mailbox.map_or_else(|| Arc::clone(&self.slot.id), |mailbox| mailbox.entry.path()))
    }

    fn post<M>(&self, mailbox: Option<&Arc<Mailbox<B>>>, ask: Ask<M>) -> Result<(), CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let mailbox = mailbox.ok_or_else(|| self.closed())?;
        mailbox.entry.gate.try_enter().map_err(|refusal| mailbox.refusal(refusal))?;
        mailbox.post(ask)
    }

    fn closed(&self) -> CallError {
        CallError::Closed { path: Arc::clone(&self.slot.id) }
    }
}

impl<B: Behaviour> Clone for ActorRef<B> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.slot))
    }
}

impl<B: Behaviour> fmt::Debug for ActorRef<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActorRef").field(&self.path()).finish()
    }
}

/// An answer that is under way.
pub struct PendingAnswer<B: Behaviour, R> {
    mailbox: Arc<Mailbox<B>>,
    pending: oneshot::Receiver<Result<R, Arc<str>>>,
}

impl<B: Behaviour, R> PendingAnswer<B, R> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`CallError::Panicked`], [`CallError::Interrupted`] and [`CallError::Closed`].
    pub async fn answer(self) -> Result<R, CallError> {
        let entry = &self.mailbox.entry;
        match self.pending.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(text)) => Err(CallError::Panicked { path: entry.path(), text }),
            Err(_) if entry.gate.is_closed() => Err(CallError::Closed { path: entry.path() }),
            Err(_) => Err(CallError::Interrupted { path: entry.path() }),
        }
    }
}

impl<B: Behaviour, R> fmt::Debug for PendingAnswer<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PendingAnswer").field(&self.mailbox.entry.path()).finish()
    }
}
