//! What a supervisor and its children know of each other: orders go down, exits come up.
//!
//! **Invariant:** a child whose incarnation ended keeps its place and does nothing until its supervisor orders a
//! restart or a stop. A child that will not be restarted is gone at once. Either way it says so with one exit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix::{Addr, Message};
use parking_lot::Mutex;

use crate::entry::{Entry, Trail};
use crate::supervisor_actor::SupervisorActor;
use crate::{Home, Registry, Restart, StartError};

/// A started child of any sort: a cell, a thread, a supervisor. Orders return at once; exits answer them.
pub(crate) trait Node: Send + Sync {
    fn entry(&self) -> &Entry;
    /// Begins the next incarnation of a child whose incarnation ended.
    fn restart(&self);
    /// Ends the incarnation and keeps the place. Forced: without grace.
    fn suspend(&self, is_forced: bool);
    /// Ends the child for good. Forced: without grace.
    fn stop(&self, is_forced: bool);
    /// Whether a forced end does more than an orderly one.
    fn can_be_forced(&self) -> bool {
        true
    }
    /// Makes an armed fault happen without waiting for a message.
    fn poke(&self);
}

/// A child spec of any sort.
pub(crate) trait Startable: Send + Sync {
    fn id(&self) -> &Arc<str>;
    fn restart(&self) -> Restart;
    fn grace(&self) -> Duration;
    fn start(&self, seat: Seat) -> Result<Arc<dyn Node>, StartError>;
}

/// A child's place in the tree.
pub(crate) struct Seat {
    pub(crate) trail: Option<Arc<Trail>>,
    pub(crate) owner: Owner,
    pub(crate) home: Home,
    pub(crate) registry: Registry,
}

/// Whom a child tells about its exit.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) line: Option<Arc<ExitLine>>,
    pub(crate) key: u64,
}

impl Owner {
    pub(crate) fn tell(&self, exit: Exit, is_gone: bool, late: Vec<Arc<str>>) {
        if let Some(line) = &self.line {
            line.send(ChildExited { key: self.key, exit, is_gone, late });
        }
    }
}

/// How an incarnation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, without a failure.
    Normal,
    /// By a panic or an error.
    Failed(Arc<str>),
    /// By order to suspend.
    Suspended,
    /// By order to stop.
    Stopped,
}

impl Exit {
    /// The exit of an incarnation that was ordered to end: as ordered, unless it failed.
    pub(crate) fn or_by_order(self, ordered: Self) -> Self {
        if matches!(self, Self::Failed(_)) { self } else { ordered }
    }
}

/// The exit signal.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChildExited {
    pub(crate) key: u64,
    pub(crate) exit: Exit,
    /// Whether the child is gone for good, or waits for orders.
    pub(crate) is_gone: bool,
    /// The paths below it that did not stop in time.
    pub(crate) late: Vec<Arc<str>>,
}

/// The way exits go up. One per supervisor: an `Addr` of its own would cost each child two allocations.
pub(crate) struct ExitLine {
    pub(crate) addr: Addr<SupervisorActor>,
}

impl ExitLine {
    #[expect(
        clippy::disallowed_methods,
        reason = "an exit must neither wait nor be refused; there is one per incarnation"
    )]
    pub(crate) fn send(&self, signal: ChildExited) {
        self.addr.do_send(signal);
    }
}

/// An order that waits for its child to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Restart,
    Suspend { is_forced: bool },
    Stop { is_forced: bool },
}

/// Orders for a cell, readable even while its mailbox is frozen.
#[derive(Default)]
pub(crate) struct Orders {
    inner: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    orders: VecDeque<Order>,
    waker: Option<Waker>,
}

impl Orders {
    pub(crate) fn push(&self, order: Order) {
        let waker = {
            let mut waiting = self.inner.lock();
            waiting.orders.push_back(order);
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn take(&self) -> Option<Order> {
        self.inner.lock().orders.pop_front()
    }

    pub(crate) fn poll_take(&self, task: &mut Context<'_>) -> Poll<Order> {
        let mut waiting = self.inner.lock();
        if let Some(order) = waiting.orders.pop_front() {
            return Poll::Ready(order);
        }
        waiting.waker = Some(task.waker().clone());
        Poll::Pending
    }
}
