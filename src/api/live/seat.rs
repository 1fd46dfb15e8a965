//! What a session and the hub of its thread tell each other: a bell, and orders that wait for it.
//!
//! Invariant: a bell that was rung and not heard is not rung again; it is counted. So nothing piles up for a session whose
//! socket is blocked, however much happens.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use futures_util::Stream;
use protocol::live::limits::{Ending, MISSED_WAKES_MAX};

use super::measure::Updates;
use crate::principal::Principal;

/// Two missed rings closer than this are one: the longest pause between two wake-ups.
const MISS_EVERY: Duration = Duration::from_millis(30);
/// Things said to a session that did not take them yet; alerts are never dropped, and beyond this nothing else is kept.
const SAID_MAX: usize = 256;

/// What a session is asked to do.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) close: Option<Ending>,
    pub(crate) ping: bool,
    /// The newest wins.
    pub(crate) updates: Option<Rc<Updates>>,
    pub(crate) said: Vec<ByteString>,
}

/// The place of a session at its hub.
pub(crate) struct Seat {
    pub(crate) id: Arc<str>,
    pub(crate) principal: Principal,
    orders: RefCell<Orders>,
    is_rung: Cell<bool>,
    /// The bell was heard in the present poll of the body.
    is_spent: Cell<bool>,
    missed: Cell<u32>,
    missed_at: Cell<Option<Instant>>,
    is_lagging: Cell<bool>,
    pub(crate) heard_at: Cell<Instant>,
    pub(crate) pinged_at: Cell<Instant>,
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    pub(crate) fn new(id: Arc<str>, principal: Principal) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            id,
            principal,
            orders: RefCell::default(),
            is_rung: Cell::new(false),
            is_spent: Cell::new(false),
            missed: Cell::new(0),
            missed_at: Cell::new(None),
            is_lagging: Cell::new(false),
            heard_at: Cell::new(now),
            pinged_at: Cell::new(now),
            waker: RefCell::default(),
        })
    }

    /// Rings. False: the ring before was not heard, five times in a row by now.
    pub(crate) fn ring(&self, now: Instant) -> bool {
        if !self.is_rung.replace(true) {
            self.wake();
            return true;
        }
        if self.missed_at.get().is_some_and(|at| now.saturating_duration_since(at) < MISS_EVERY) {
            return true;
        }
        self.missed_at.set(Some(now));
        self.missed.set(self.missed.get().saturating_add(1));
        if self.missed.get() < MISSED_WAKES_MAX || self.is_lagging.replace(true) {
            return true;
        }
        false
    }

    /// Rings for itself: more is there than one poll may take.
    pub(crate) fn ring_again(&self) {
        self.is_rung.set(true);
    }

    /// Changes what is asked, and rings.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.borrow_mut());
        if !self.is_rung.replace(true) {
            self.wake();
        }
    }

    /// Hands something over to be said. False: too much waits already.
    pub(crate) fn say(&self, text: &ByteString, is_alert: bool) -> bool {
        let has_room = is_alert || self.orders.borrow().said.len() < SAID_MAX;
        if has_room {
            self.order(|orders| orders.said.push(text.clone()));
        }
        has_room
    }

    /// What was asked since the last time, and whether too many rings were missed.
    pub(crate) fn take(&self) -> (Orders, bool) {
        (self.orders.take(), self.is_lagging.replace(false))
    }

    /// Whether the last rings were not heard.
    pub(crate) fn is_blocked(&self) -> bool {
        self.missed.get() > 0
    }

    /// The body is polled: the bell may be heard once more.
    pub(crate) fn begin_poll(&self) {
        self.is_spent.set(false);
    }

    /// Whether the bell rings for the next poll of the body.
    pub(crate) fn wants_poll(&self) -> bool {
        self.is_rung.get()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// The bell was heard.
pub(crate) struct Rung;

/// The bell as the session hears it: once a poll of its body.
pub(crate) struct Rings(pub(crate) Rc<Seat>);

impl Stream for Rings {
    type Item = Rung;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Rung>> {
        let seat = &self.0;
        if seat.is_rung.get() && !seat.is_spent.get() {
            seat.is_rung.set(false);
            seat.is_spent.set(true);
            seat.missed.set(0);
            seat.missed_at.set(None);
            return Poll::Ready(Some(Rung));
        }
        let mut waker = seat.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
