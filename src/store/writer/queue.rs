//! The bounded queue between handles and the loop. It outlives runs of the loop; what waits is not lost with one.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::command::Command;
use crate::error::WriteError;
use crate::outcome::Outcome;

/// Whoever is told of an outcome.
trait Receiver: Send {
    /// Whether it is somebody who may go, and has.
    fn is_gone(&self) -> bool;

    /// Whether it is somebody who may go.
    fn may_go(&self) -> bool;

    fn tell(self: Box<Self>, result: Result<Outcome, WriteError>);
}

/// Told in any case: what it is about is written whether somebody waits or not.
struct Always<F>(F);

impl<F: FnOnce(Result<Outcome, WriteError>) + Send> Receiver for Always<F> {
    fn is_gone(&self) -> bool {
        false
    }

    fn may_go(&self) -> bool {
        false
    }

    fn tell(self: Box<Self>, result: Result<Outcome, WriteError>) {
        (self.0)(result);
    }
}

/// Told in any case, too, but what it is about is written only for the one who waits at the other end.
struct For<R, F> {
    asker: oneshot::Sender<R>,
    then: F,
}

impl<R: Send, F: FnOnce(oneshot::Sender<R>, Result<Outcome, WriteError>) + Send> Receiver for For<R, F> {
    fn is_gone(&self) -> bool {
        self.asker.is_closed()
    }

    fn may_go(&self) -> bool {
        true
    }

    fn tell(self: Box<Self>, result: Result<Outcome, WriteError>) {
        (self.then)(self.asker, result);
    }
}

/// Where an outcome goes.
///
/// Invariant: it is answered exactly once; dropped without an answer (the writer died), it says so.
pub(super) struct Reply(Option<Box<dyn Receiver>>);

impl Reply {
    pub(super) fn new(then: impl FnOnce(Result<Outcome, WriteError>) + Send + 'static) -> Self {
        Self(Some(Box::new(Always(then))))
    }

    /// On behalf of `asker`, who may go.
    pub(super) fn to<R: Send + 'static>(
        asker: oneshot::Sender<R>,
        then: impl FnOnce(oneshot::Sender<R>, Result<Outcome, WriteError>) + Send + 'static,
    ) -> Self {
        Self(Some(Box::new(For { asker, then })))
    }

    fn is_gone(&self) -> bool {
        self.0.as_ref().is_some_and(|receiver| receiver.is_gone())
    }

    fn may_go(&self) -> bool {
        self.0.as_ref().is_some_and(|receiver| receiver.may_go())
    }

    pub(super) fn send(mut self, result: Result<Outcome, WriteError>) {
        self.answer(result);
    }

    /// Gives up without an answer, for a command that was never taken.
    fn forget(mut self) {
        self.0 = None;
    }

    fn answer(&mut self, result: Result<Outcome, WriteError>) {
        let Some(then) = self.0.take() else { return };
        // A receiver's panic is not the writer's; one while unwinding would end the process.
        if catch_unwind(AssertUnwindSafe(|| then.tell(result))).is_err() {
            tracing::error!("a receiver of the writer's answer panicked");
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(Err(WriteError::Unavailable("the writer died".to_owned())));
    }
}

/// A command and where its outcome goes.
pub(super) struct Envelope {
    pub(super) command: Command,
    pub(super) reply: Reply,
}

/// What was taken, each part in order.
#[derive(Default)]
pub(super) struct Taken {
    /// To be applied together.
    pub(super) batch: Vec<Envelope>,
    /// What nobody waits for any more.
    pub(super) gone: Vec<Envelope>,
}

struct Waiting {
    envelopes: VecDeque<Envelope>,
    is_closed: bool,
}

/// Commands that wait.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    capacity: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        let waiting = Waiting { envelopes: VecDeque::new(), is_closed: false };
        Self { waiting: Mutex::new(waiting), arrived: Condvar::new(), capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().envelopes.len()
    }

    /// Adds one, or says why not.
    pub(super) fn push(&self, envelope: Envelope) -> Result<(), WriteError> {
        let mut waiting = self.waiting.lock();
        let refused = if waiting.is_closed {
            WriteError::NotBegun("the writer has stopped".to_owned())
        } else if waiting.envelopes.len() >= self.capacity {
            WriteError::Overloaded
        } else {
            waiting.envelopes.push_back(envelope);
            drop(waiting);
            self.arrived.notify_one();
            return Ok(());
        };
        drop(waiting);
        envelope.reply.forget();
        Err(refused)
    }

    /// Takes all that waits, in order, up to `count_max` commands or `bytes_max` bytes (one command may have more);
    /// nothing when nothing came for `patience`.
    pub(super) fn take(&self, count_max: usize, bytes_max: usize, patience: Duration) -> Taken {
        let mut waiting = self.waiting.lock();
        if waiting.envelopes.is_empty() {
            self.arrived.wait_for(&mut waiting, patience);
        }
        let (mut taken, mut bytes) = (Taken::default(), 0_usize);
        while taken.batch.len() < count_max
            && let Some(next) = waiting.envelopes.front()
        {
            let is_gone = next.reply.is_gone();
            if !is_gone {
                bytes = bytes.saturating_add(next.command.bytes());
                if !taken.batch.is_empty() && bytes > bytes_max {
                    break;
                }
            }
            let into = if is_gone { &mut taken.gone } else { &mut taken.batch };
            into.extend(waiting.envelopes.pop_front());
        }
        taken
    }

    /// Takes all that somebody waits for who may go; the rest keeps waiting, in order.
    pub(super) fn take_asked(&self) -> Vec<Envelope> {
        let mut waiting = self.waiting.lock();
        let all = std::mem::take(&mut waiting.envelopes).into_iter();
        let (asked, rest) = all.partition(|envelope| envelope.reply.may_go());
        waiting.envelopes = rest;
        drop(waiting);
        VecDeque::into(asked)
    }

    /// Takes nothing more, if nothing waits; says whether that is so.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.is_closed |= waiting.envelopes.is_empty();
        waiting.is_closed
    }

    /// Takes commands again.
    pub(super) fn reopen(&self) {
        self.waiting.lock().is_closed = false;
    }
}
