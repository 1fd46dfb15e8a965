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
use crate::connection::Client;
use crate::principal::Principal;

/// Two missed rings closer than this are one: the longest pause between two wake-ups.
const MISS_EVERY: Duration = Duration::from_millis(30);
/// A client that takes nothing for so long is blocked.
const BLOCKED_AFTER: Duration = Duration::from_secs(1);
/// Words of operators for a session that did not take them yet; beyond this they are dropped and counted.
const SAID_MAX: usize = 256;

/// What a session is asked to do.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) close: Option<Ending>,
    pub(crate) ping: bool,
    /// The newest wins.
    pub(crate) updates: Option<Rc<Updates>>,
    /// Look what became of alerts.
    pub(crate) alerts: bool,
    pub(crate) said: Vec<ByteString>,
}

/// The place of a session at its hub.
pub(crate) struct Seat {
    pub(crate) id: Arc<str>,
    pub(crate) principal: Principal,
    client: Client,
    orders: RefCell<Orders>,
    is_rung: Cell<bool>,
    /// The bell was heard in the present poll of the body.
    is_spent: Cell<bool>,
    missed: Cell<u32>,
    missed_at: Cell<Option<Instant>>,
    is_lagging: Cell<bool>,
    /// It waits for the log to grow, whomever that concerns.
    awaits_growth: Cell<bool>,
    /// Bytes of events that were taken in the present poll of the body.
    pub(crate) taken_bytes: Cell<usize>,
    /// The last change of alerts that it was told of.
    pub(crate) alerts_told: Cell<u64>,
    pub(crate) heard_at: Cell<Instant>,
    pub(crate) pinged_at: Cell<Instant>,
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    pub(crate) fn new(id: Arc<str>, principal: Principal, client: Client) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            id,
            principal,
            client,
            orders: RefCell::default(),
            is_rung: Cell::new(false),
            is_spent: Cell::new(false),
            missed: Cell::new(0),
            missed_at: Cell::new(None),
            is_lagging: Cell::new(false),
            awaits_growth: Cell::new(false),
            taken_bytes: Cell::new(0),
            alerts_told: Cell::new(0),
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

    /// Rings for itself, for the next poll of the body: more is there than one may take.
    pub(crate) fn ring_again(&self) {
        self.is_rung.set(true);
        self.is_spent.set(true);
    }

    /// It wants to be rung when the log has grown, also by what does not concern it.
    pub(crate) fn await_growth(&self) {
        self.awaits_growth.set(true);
    }

    /// Whether it waited for the log to grow.
    pub(crate) fn awaited_growth(&self) -> bool {
        self.awaits_growth.take()
    }

    /// Changes what is asked, and rings.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.borrow_mut());
        if !self.is_rung.replace(true) {
            self.wake();
        }
    }

    /// Hands something over to be said. False: too much waits already.
    pub(crate) fn say(&self, text: &ByteString) -> bool {
        let has_room = self.orders.borrow().said.len() < SAID_MAX;
        if has_room {
            self.order(|orders| orders.said.push(text.clone()));
        }
        has_room
    }

    /// What was asked since the last time, and whether too many rings were missed.
    pub(crate) fn take(&self) -> (Orders, bool) {
        (self.orders.take(), self.is_lagging.replace(false))
    }

    /// Whether its client does not take what there is for it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.client.takes_nothing_for() >= BLOCKED_AFTER
    }

    /// The body is polled: the bell may be heard once more.
    pub(crate) fn begin_poll(&self) {
        self.is_spent.set(false);
        self.taken_bytes.set(0);
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

#[cfg(test)]
mod tests {
    use domain::Role;
    use runtime::Caller;

    use super::*;

    fn seat() -> Rc<Seat> {
        let principal = Principal { caller: Caller::hive(), role: Role::Admin, key: None };
        Seat::new(Arc::from("ws_1"), principal, Client::none())
    }

    /// Whether the bell is heard in the present poll of the body.
    fn is_heard(seat: &Rc<Seat>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut Rings(Rc::clone(seat))).poll_next(&mut context).is_ready()
    }

    #[test]
    fn the_fifth_ring_that_is_not_heard_is_told_once_and_those_close_together_are_one() {
        let (seat, now) = (seat(), Instant::now());
        let ring = |after_ms: u64| seat.ring(now + Duration::from_millis(after_ms));
        assert!(ring(0), "it waits to be heard");
        assert!([1, 30, 31, 60, 61, 91, 100].into_iter().all(ring), "missed at 1, 31, 61 and 91");
        assert!(!seat.take().1);
        assert!(ring(120), "29 ms behind the fourth");
        assert!(!ring(121), "the fifth");
        assert!(ring(151) && ring(181), "it was told");
        assert!(seat.take().1 && !seat.take().1);
        seat.begin_poll();
        assert!(is_heard(&seat));
        assert!(ring(200) && [201, 231, 261, 291].into_iter().all(ring), "it counts anew");
        assert!(!ring(321));
    }

    #[test]
    fn the_bell_is_heard_once_a_poll_of_the_body_and_what_is_too_much_for_one_comes_with_the_next() {
        let (seat, now) = (seat(), Instant::now());
        seat.ring(now);
        assert!(is_heard(&seat));
        seat.ring(now);
        assert!(!is_heard(&seat) && seat.wants_poll());
        seat.taken_bytes.set(1);
        seat.begin_poll();
        assert!(is_heard(&seat) && seat.taken_bytes.get() == 0);
        seat.begin_poll();
        seat.ring_again();
        assert!(!is_heard(&seat) && seat.wants_poll());
        seat.begin_poll();
        assert!(is_heard(&seat) && !seat.wants_poll());
    }

    #[test]
    fn of_what_operators_say_256_words_wait() {
        let seat = seat();
        let text = ByteString::from_static("{}");
        assert_eq!((0..300).filter(|_| seat.say(&text)).count(), 256);
        assert_eq!(seat.take().0.said.len(), 256);
        assert!(seat.say(&text), "there is room again");
    }

    #[test]
    fn who_waits_for_the_log_to_grow_is_asked_once() {
        let seat = seat();
        assert!(!seat.awaited_growth());
        seat.await_growth();
        assert!(seat.awaited_growth() && !seat.awaited_growth());
    }
}
