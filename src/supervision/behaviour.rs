//! What the author of an actor writes: the behaviour, one handler a message, and the ways to answer.

use std::fmt;
use std::future::Future;

use actix::Message;
use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::oneshot;

use crate::Context;

/// The state of an actor and what it does. A [cell](crate) owns it, and builds a new one after a failure.
///
/// There is no hook for the end: a behaviour that ends by a panic could not run it. What must happen at the end belongs
/// into the `Drop` of what it concerns, which must not panic while another panic unwinds: Rust then ends the process.
pub trait Behaviour: Sized + 'static {
    /// What kind of actor this is, in lower case, for people and metrics: `"coordinator"`.
    const KIND: &'static str;

    /// How many messages may wait. The implementor says why this number.
    const MAILBOX_CAPACITY: usize;

    /// Each incarnation begins here, before its first message.
    fn started(&mut self, cx: &mut Context<Self>) {
        let _ = cx;
    }

    /// The supervisor asked this incarnation to end, and what was queued before is handled. Once called, no timer
    /// fires; replies and spawned futures that are under way have the child's grace to end. Call
    /// [`Context::stop`] here to end at once, or tell endless futures to end.
    fn draining(&mut self, cx: &mut Context<Self>) {
        let _ = cx;
    }
}

/// How a behaviour answers one kind of message.
pub trait Handle<M: Message>: Behaviour {
    /// Takes a message. A panic here fails this actor only; the caller gets
    /// [`CallError::Panicked`](crate::CallError::Panicked).
    fn handle(&mut self, msg: M, cx: &mut Context<Self>) -> Reply<M::Result>;
}

/// An answer, or the promise of one. Handlers do not wait: other messages are taken while an answer is under way.
pub enum Reply<R> {
    /// The answer.
    Now(R),
    /// The answer comes from a future, polled by the actor and dropped with its incarnation.
    Later(LocalBoxFuture<'static, R>),
    /// The answer comes from whoever holds the [`Promise`].
    Promised(oneshot::Receiver<R>),
}

impl<R: 'static> Reply<R> {
    /// Answers with what the future returns.
    pub fn later(answer: impl Future<Output = R> + 'static) -> Self {
        Self::Later(answer.boxed_local())
    }

    /// Answers with what the [`Promise`] is fulfilled with: for answers that a later message brings.
    #[must_use]
    pub fn promise() -> (Promise<R>, Self) {
        let (answer, promised) = oneshot::channel();
        (Promise { answer }, Self::Promised(promised))
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Reply::Now",
            Self::Later(_) => "Reply::Later",
            Self::Promised(_) => "Reply::Promised",
        })
    }
}

/// The right to answer one message later. Dropped unused, it tells the caller
/// [`CallError::Interrupted`](crate::CallError::Interrupted).
#[derive(Debug)]
pub struct Promise<R> {
    answer: oneshot::Sender<R>,
}

impl<R> Promise<R> {
    /// Answers. A caller that no longer waits is not an error.
    pub fn fulfil(self, answer: R) {
        let _ = self.answer.send(answer);
    }

    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}
