//! The world outside the hive: its time, its people, what they remember, and what was seen to happen.
//!
//! People are futures that outlive every life of the hive; they sleep by the world's time, which goes on while the hive
//! is down. The hive's own timers belong to the tokio runtime of its present life and end with it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::hive::Hive;
use crate::promises::Promises;
use crate::script::Script;
use crate::witness::Witness;

/// Most lines of one history; a run that needs more goes in circles.
const LINES_MAX: usize = 200_000;

/// How a period of the world ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The hive's process ended; it begins again after so long.
    Crashed { down_ms: u64 },
    /// The time was up.
    TimeUp,
    /// What the period was for has been done.
    Done,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub calls: u64,
    pub commits: u64,
    pub events: u64,
    pub crashes: u64,
    pub faults: u64,
}

/// See the module.
pub struct World {
    pub script: Script,
    /// The present time at the beginning of the present period, and that beginning by its runtime's clock.
    base: Cell<(u64, Option<Instant>)>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    timer_count: Cell<u64>,
    newcomers: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    people: RefCell<FuturesUnordered<LocalBoxFuture<'static, ()>>>,
    hive: RefCell<Option<Rc<Hive>>>,
    ended: Cell<Option<Ended>>,
    waker: RefCell<Option<Waker>>,
    /// Whether the troubles are over.
    is_calm: Cell<bool>,
    /// Whether workers hold on to what they have, so that every slot must be used.
    is_holding: Cell<bool>,
    /// Clients that still want something.
    pub clients_left: Cell<u64>,
    /// How far the wall clock is off, in milliseconds.
    pub wall_offset_ms: Cell<i64>,
    history: RefCell<Vec<String>>,
    breaches: RefCell<Vec<String>>,
    pub figures: Cell<Figures>,
    pub witness: RefCell<Witness>,
    pub promises: RefCell<Promises>,
}

impl World {
    pub fn new(script: Script) -> Rc<Self> {
        Rc::new(Self {
            base: Cell::new((0, None)),
            timers: RefCell::default(),
            timer_count: Cell::new(0),
            newcomers: RefCell::default(),
            people: RefCell::default(),
            hive: RefCell::default(),
            ended: Cell::new(None),
            waker: RefCell::default(),
            is_calm: Cell::new(false),
            is_holding: Cell::new(false),
            clients_left: Cell::new(script.clients),
            wall_offset_ms: Cell::new(0),
            history: RefCell::default(),
            breaches: RefCell::default(),
            figures: Cell::default(),
            witness: RefCell::default(),
            promises: RefCell::default(),
            script,
        })
    }

    /// Microseconds since the world began.
    pub fn now_us(&self) -> u64 {
        let (at, began) = self.base.get();
        let passed = began.map_or(Duration::ZERO, |began| began.elapsed());
        at + u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
    }

    /// Waits by the world's time.
    pub async fn sleep(&self, ms: u64) {
        let due = self.now_us() + ms * 1_000;
        let number = self.timer_count.get();
        self.timer_count.set(number + 1);
        poll_fn(|cx| {
            if self.now_us() >= due {
                return Poll::Ready(());
            }
            self.timers.borrow_mut().insert((due, number), cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Somebody more lives from now on.
    pub fn spawn(&self, person: impl Future<Output = ()> + 'static) {
        self.newcomers.borrow_mut().push(Box::pin(person));
        self.nudge();
    }

    fn nudge(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Ends the present period.
    pub fn end(&self, how: Ended) {
        if self.ended.get().is_none() {
            self.ended.set(Some(how));
        }
        self.nudge();
    }

    /// Whether the present period is over: what happens now is seen by nobody outside.
    pub fn is_ending(&self) -> bool {
        self.ended.get().is_some()
    }

    /// From here on the world's time goes with the present runtime's clock.
    pub fn begin_period(&self) {
        self.base.set((self.now_us(), Some(Instant::now())));
    }

    /// Lets the people live until somebody ends the period, or until `until_us`. Call it in a period.
    pub async fn live(&self, until_us: u64) -> Ended {
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        let ended = poll_fn(|cx| {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            loop {
                if let Some(ended) = self.ended.take() {
                    return Poll::Ready(ended);
                }
                if self.now_us() >= until_us {
                    return Poll::Ready(Ended::TimeUp);
                }
                self.wake_due();
                let newcomers = std::mem::take(&mut *self.newcomers.borrow_mut());
                self.people.borrow_mut().extend(newcomers);
                if let Poll::Ready(Some(())) = self.people.borrow_mut().poll_next_unpin(cx) {
                    continue;
                }
                if !self.newcomers.borrow().is_empty() || self.ended.get().is_some() {
                    continue;
                }
                let next = self.timers.borrow().first_key_value().map_or(until_us, |((due, _), _)| *due);
                let left_us = next.min(until_us).saturating_sub(self.now_us());
                alarm.as_mut().reset(Instant::now() + Duration::from_micros(left_us));
                if alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        self.end_period();
        ended
    }

    /// The world's time stands still, as there is no runtime whose clock it could go by.
    pub fn end_period(&self) {
        self.base.set((self.now_us(), None));
    }

    fn wake_due(&self) {
        let now = self.now_us();
        let mut timers = self.timers.borrow_mut();
        while let Some(entry) = timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            entry.remove().wake();
        }
    }

    /// The hive, while it is up.
    pub fn hive(&self) -> Option<Rc<Hive>> {
        self.hive.borrow().clone()
    }

    pub fn set_hive(&self, hive: Option<Hive>) {
        *self.hive.borrow_mut() = hive.map(Rc::new);
    }

    pub fn is_calm(&self) -> bool {
        self.is_calm.get()
    }

    /// From here on nothing goes wrong any more.
    pub fn calm_down(&self) {
        self.is_calm.set(true);
        self.note("calm", "the troubles are over");
    }

    pub fn hold(&self, is_holding: bool) {
        self.is_holding.set(is_holding);
    }

    pub fn is_holding(&self) -> bool {
        self.is_holding.get()
    }

    /// Writes a line of history.
    pub fn note(&self, who: &str, what: impl std::fmt::Display) {
        let mut history = self.history.borrow_mut();
        if history.len() < LINES_MAX {
            let now = self.now_us();
            history.push(format!("{:>6}.{:06} {who:<12} {what}", now / 1_000_000, now % 1_000_000));
        }
    }

    /// A promise is broken.
    pub fn breach(&self, what: impl std::fmt::Display) {
        self.note("BREACH", &what);
        self.breaches.borrow_mut().push(what.to_string());
        self.end(Ended::Done);
    }

    pub fn has_breach(&self) -> bool {
        !self.breaches.borrow().is_empty()
    }

    pub fn count(&self, add: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures.get();
        add(&mut figures);
        self.figures.set(figures);
    }

    /// Everything there is to tell: the history and the breaches.
    pub fn story(&self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.history.borrow_mut()), std::mem::take(&mut self.breaches.borrow_mut()))
    }

    /// Everybody goes. They hold the world, so that it would never end otherwise.
    pub fn dismiss(&self) {
        self.people.borrow_mut().clear();
        self.newcomers.borrow_mut().clear();
        self.set_hive(None);
    }
}
