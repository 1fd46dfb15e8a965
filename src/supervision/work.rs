//! The futures of one incarnation: answers, spawned work, timers. They end with it.
//!
//! actix would poll all futures of a context at each wake-up, and would let a panic in one through; these sets poll
//! only what was woken, and every future is caught by itself.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::fut::ActorFuture;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, Stream};

use crate::cell::Cell;
use crate::guard::{drop_guarded, guarded, panic_text};
use crate::{Behaviour, Context};

/// Completions handled before other actors of the arbiter get their turn.
const MAX_COMPLETIONS_PER_TURN: usize = 64;

/// What goes on in the behaviour when a future is done.
pub(crate) type Continuation<B> = Box<dyn FnOnce(&mut B, &mut Context<'_, B>)>;

/// What a future came to.
pub(crate) enum Done<B: Behaviour> {
    Nothing,
    Then(Continuation<B>),
    Panicked(Arc<str>),
}

type Pending<B> = FuturesUnordered<LocalBoxFuture<'static, Done<B>>>;

/// Made on first use: most actors wait for nothing most of the time.
pub(crate) struct WorkSet<B: Behaviour> {
    work: Option<Pending<B>>,
    timers: Option<Pending<B>>,
}

impl<B: Behaviour> WorkSet<B> {
    pub(crate) fn new() -> Self {
        Self { work: None, timers: None }
    }

    /// Adds work that a graceful end waits for.
    pub(crate) fn push(&mut self, work: impl Future<Output = Done<B>> + 'static) {
        self.work.get_or_insert_default().push(caught(work));
    }

    /// Adds a timer, which a graceful end cuts short.
    pub(crate) fn push_timer(&mut self, timer: impl Future<Output = Done<B>> + 'static) {
        self.timers.get_or_insert_default().push(caught(timer));
    }

    pub(crate) fn has_work(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.is_empty())
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_work() && self.timers.as_ref().is_none_or(FuturesUnordered::is_empty)
    }

    pub(crate) fn drop_timers(&mut self) -> Result<(), Arc<str>> {
        drop_guarded(self.timers.take())
    }

    pub(crate) fn drop_all(&mut self) -> Result<(), Arc<str>> {
        self.drop_timers().and(drop_guarded(self.work.take()))
    }

    fn poll_done(&mut self, task: &mut TaskContext<'_>) -> Poll<Done<B>> {
        for pending in [&mut self.work, &mut self.timers].into_iter().flatten() {
            // The set drops finished futures here, and their drop is not ours.
            match guarded(|| Pin::new(pending).poll_next(task)) {
                Ok(Poll::Ready(Some(done))) => return Poll::Ready(done),
                Ok(_) => {}
                Err(text) => return Poll::Ready(Done::Panicked(text)),
            }
        }
        Poll::Pending
    }
}

fn caught<B: Behaviour>(work: impl Future<Output = Done<B>> + 'static) -> LocalBoxFuture<'static, Done<B>> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .map(|done| done.unwrap_or_else(|payload| Done::Panicked(panic_text(payload))))
        .boxed_local()
}

/// Polls the cell's work as a part of its actix context. Lives while there is any.
pub(crate) struct Drive;

impl<B: Behaviour> ActorFuture<Cell<B>> for Drive {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        cell: &mut Cell<B>,
        actix: &mut actix::Context<Cell<B>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        for _ in 0..MAX_COMPLETIONS_PER_TURN {
            match cell.body.work.poll_done(task) {
                Poll::Ready(done) => cell.complete(done, actix),
                Poll::Pending if cell.body.work.is_empty() => {
                    cell.is_driven = false;
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
