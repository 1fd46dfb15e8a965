//! What a behaviour can do while it handles something: end, fail, set timers, start work.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use futures_util::future::{AbortHandle, Abortable, FutureExt};

use crate::cell::{Body, Wish};
use crate::guard::{clip, panic_text};
use crate::mailbox::Answer;
use crate::work::Done;
use crate::{ActorRef, Behaviour, Handle, Reply};

/// Given to a behaviour with each message.
pub struct Context<'a, B: Behaviour> {
    pub(crate) body: &'a mut Body<B>,
}

impl<B: Behaviour> Context<'_, B> {
    /// A reference to this actor, good for as long as the child spec lives.
    #[must_use]
    pub fn actor_ref(&self) -> ActorRef<B> {
        ActorRef::new(Arc::clone(&self.body.slot))
    }

    /// This actor's path in the tree, formatted at each call.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.body.mailbox.entry.path()
    }

    /// How often this actor was built, this time included.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.body.mailbox.entry.incarnation()
    }

    /// Ends this incarnation normally after the present message. What is under way is dropped. A permanent child is
    /// restarted.
    pub fn stop(&mut self) {
        // A failure outweighs a wish to stop.
        self.body.wish.get_or_insert(Wish::Stop);
    }

    /// Fails this incarnation after the present message, as a panic would, with `text` as the last error.
    pub fn fail(&mut self, text: impl AsRef<str>) {
        self.body.wish = Some(Wish::Fail(clip(text.as_ref())));
    }

    /// Handles `msg` after a while, past the mailbox. The timer ends with the incarnation and with draining.
    /// Dropping the handle does not cancel it.
    pub fn notify_later<M>(&mut self, msg: M, after: Duration) -> CancelHandle
    where
        B: Handle<M>,
        M: Message + 'static,
    {
        let (cancel, registration) = AbortHandle::new_pair();
        let timer = Abortable::new(tokio::time::sleep(after), registration);
        self.body.work.push_timer(timer.map(move |slept| match slept {
            Ok(()) => Done::Then(Box::new(move |behaviour: &mut B, cx| {
                let fault = cx.body.mailbox.entry.take_fault();
                if let Some(fault) = fault {
                    fault.commit();
                }
                let reply = behaviour.handle(msg, cx);
                cx.settle(reply, None);
            })),
            Err(_) => Done::Nothing,
        }));
        CancelHandle { cancel }
    }

    /// Runs a future beside the messages, then `then` with what it returned. A panic in either fails this actor.
    /// Both end with the incarnation; a graceful stop waits for them as long as the child's grace.
    /// Dropping the handle does not cancel it.
    pub fn spawn<F>(
        &mut self,
        work: F,
        then: impl FnOnce(&mut B, F::Output, &mut Context<B>) + 'static,
    ) -> CancelHandle
    where
        F: Future + 'static,
    {
        let (cancel, registration) = AbortHandle::new_pair();
        self.body.work.push(Abortable::new(work, registration).map(move |output| match output {
            Ok(output) => Done::Then(Box::new(move |behaviour, cx| then(behaviour, output, cx))),
            Err(_) => Done::Nothing,
        }));
        CancelHandle { cancel }
    }

    /// Sends the answer, now or when there is one.
    pub(crate) fn settle<R: 'static>(&mut self, reply: Reply<R>, answer: Option<Answer<R>>) {
        match (reply, answer) {
            (Reply::Now(result), Some(answer)) => {
                // The caller may have gone.
                let _ = answer.send(Ok(result));
            }
            (Reply::Later(later), answer) => {
                self.body.work.push(AssertUnwindSafe(later).catch_unwind().map(move |outcome| {
                    let outcome = outcome.map_err(panic_text);
                    let panic = outcome.as_ref().err().cloned();
                    if let Some(answer) = answer {
                        let _ = answer.send(outcome);
                    }
                    panic.map_or(Done::Nothing, Done::Panicked)
                }))
            }
            (Reply::Promised(promised), Some(answer)) => self.body.work.push(promised.map(move |outcome| {
                // A promise that was dropped drops the answer with it, which the caller reads as interrupted.
                if let Ok(result) = outcome {
                    let _ = answer.send(Ok(result));
                }
                Done::Nothing
            })),
            (Reply::Now(_) | Reply::Promised(_), None) => {}
        }
    }
}

impl<B: Behaviour> fmt::Debug for Context<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Cancels a timer or spawned work. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct CancelHandle {
    cancel: AbortHandle,
}

impl CancelHandle {
    /// Drops the timer or the future; what should follow does not. No effect on what is done already.
    pub fn cancel(&self) {
        self.cancel.abort();
    }
}
