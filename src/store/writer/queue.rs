//! The bounded queue between handles and the loop. It outlives runs of the loop; what waits is not lost with one.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::command::Command;
use crate::error::WriteError;
use crate::outcome::Outcome;

type Then = Box<dyn FnOnce(Result<Outcome, WriteError>) + Send>;

/// Where an outcome goes.
///
/// Invariant: it is answered exactly once; dropped without an answer (the writer died), it says so.
pub(super) struct Reply(Option<Then>);

impl Reply {
    pub(super) fn new(then: impl FnOnce(Result<Outcome, WriteError>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
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
        if catch_unwind(AssertUnwindSafe(|| then(result))).is_err() {
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
            WriteError::Unavailable("the writer has stopped".to_owned())
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
    pub(super) fn take(&self, count_max: usize, bytes_max: usize, patience: Duration) -> Vec<Envelope> {
        let mut waiting = self.waiting.lock();
        if waiting.envelopes.is_empty() {
            self.arrived.wait_for(&mut waiting, patience);
        }
        let mut bytes: usize = 0;
        let mut count: usize = 0;
        for envelope in waiting.envelopes.iter().take(count_max) {
            bytes = bytes.saturating_add(envelope.command.bytes());
            if count > 0 && bytes > bytes_max {
                break;
            }
            count = count.saturating_add(1);
        }
        waiting.envelopes.drain(..count).collect()
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
