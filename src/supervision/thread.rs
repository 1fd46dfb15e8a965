//! A child that is a thread of its own, for work that blocks.
//!
//! **Invariant:** two incarnations of one spec never run at once, not even when one did not stop in time: the body runs
//! under the spec's turn.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::child_spec::DEFAULT_GRACE;
use crate::entry::{ActorState, Entry};
use crate::guard::{clip, guarded};
use crate::node::{Exit, Node, Order, Owner, Seat, Startable};
use crate::{Registry, Restart, StartError};

/// What a thread's body fails with: any error.
pub type ThreadError = Box<dyn std::error::Error + Send + Sync>;

type Body = Arc<dyn Fn(ThreadContext) -> Result<(), ThreadError> + Send + Sync>;

/// Tells a thread that waits for something else that it should look at its context.
type OnStop = Arc<dyn Fn() + Send + Sync>;

/// How to run a thread and what to do when it ends. Permanent, with five seconds of grace, unless said otherwise.
#[derive(Clone)]
pub struct ThreadSpec {
    id: Arc<str>,
    kind: &'static str,
    restart: Restart,
    grace: Duration,
    body: Body,
    on_stop: Option<OnStop>,
    turn: Arc<Mutex<()>>,
}

impl ThreadSpec {
    /// A thread called `id` among its siblings. Each incarnation runs `body` once; to return an error or to panic is to
    /// fail, to return `Ok` is a normal end.
    #[must_use]
    pub fn new(
        id: impl Into<Arc<str>>,
        body: impl Fn(ThreadContext) -> Result<(), ThreadError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: id.into(),
            kind: "thread",
            restart: Restart::default(),
            grace: DEFAULT_GRACE,
            body: Arc::new(body),
            on_stop: None,
            turn: Arc::default(),
        }
    }

    /// What kind of thread, for people and metrics; `"thread"` unless said otherwise.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Whether it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long a stop waits for it. A thread cannot be forced: one that stays is reported and left behind.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Called when the thread is to end, after [`ThreadContext::is_stopping`] has become true: wakes a body that waits
    /// for work. Must neither block nor call a supervisor.
    #[must_use]
    pub fn on_stop(mut self, on_stop: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_stop = Some(Arc::new(on_stop));
        self
    }
}

impl Startable for ThreadSpec {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn restart(&self) -> Restart {
        self.restart
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn start(&self, seat: Seat) -> Result<Arc<dyn Node>, StartError> {
        let node = Arc::new(ThreadNode {
            entry: Entry::new(seat.trail, Arc::clone(&self.id), self.kind, 0),
            is_stopping: AtomicBool::new(false),
            orders: Mutex::new(VecDeque::new()),
            ordered: Condvar::new(),
            on_stop: self.on_stop.clone(),
        });
        let runner = Runner {
            node: Arc::clone(&node),
            body: Arc::clone(&self.body),
            turn: Arc::clone(&self.turn),
            restart: self.restart,
            owner: seat.owner,
            registry: seat.registry.clone(),
        };
        let started = std::thread::Builder::new().name(self.id.to_string()).spawn(move || runner.run());
        let Ok(_detached) = started else {
            return Err(StartError::NoThread { path: node.entry.path() });
        };
        let node: Arc<dyn Node> = node;
        seat.registry.register(&node);
        Ok(node)
    }
}

impl fmt::Debug for ThreadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

/// The outside of a thread.
struct ThreadNode {
    entry: Entry,
    is_stopping: AtomicBool,
    orders: Mutex<VecDeque<Order>>,
    ordered: Condvar,
    on_stop: Option<OnStop>,
}

impl ThreadNode {
    fn order(&self, order: Order) {
        {
            let mut orders = self.orders.lock();
            orders.push_back(order);
            if order != Order::Restart {
                self.is_stopping.store(true, Ordering::Release);
            }
        }
        self.ordered.notify_all();
        if order != Order::Restart
            && let Some(on_stop) = &self.on_stop
            && let Err(text) = guarded(|| on_stop())
        {
            self.entry.set_error(&text);
        }
    }
}

impl Node for ThreadNode {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn restart(&self) {
        self.order(Order::Restart);
    }

    fn suspend(&self, is_forced: bool) {
        self.order(Order::Suspend { is_forced });
    }

    fn stop(&self, is_forced: bool) {
        self.order(Order::Stop { is_forced });
    }

    fn can_be_forced(&self) -> bool {
        false
    }

    fn poke(&self) {
        // The body looks at its next checkpoint.
    }
}

/// What a thread's body holds: whether it should go on.
#[derive(Clone)]
pub struct ThreadContext {
    node: Arc<ThreadNode>,
}

impl ThreadContext {
    /// Whether the body should return.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.node.is_stopping.load(Ordering::Acquire)
    }

    /// To be called once in each round of the body's loop: where a fault drill panics.
    pub fn checkpoint(&self) {
        if let Some(fault) = self.node.entry.take_fault() {
            fault.commit();
        }
    }

    /// Sleeps, but not longer than until the body should return. True: it should.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        let now = Instant::now();
        // A time beyond the clock is a year: longer than anything waits.
        let until = now.checked_add(time).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        let mut orders = self.node.orders.lock();
        while !self.is_stopping() {
            if self.node.ordered.wait_until(&mut orders, until).timed_out() {
                break;
            }
        }
        self.is_stopping()
    }

    /// Where the thread is in the tree.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.node.entry.path()
    }

    /// How often the body was begun, this time included.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.node.entry.incarnation()
    }
}

impl fmt::Debug for ThreadContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadContext").field(&self.path()).finish()
    }
}

/// What runs on the thread.
struct Runner {
    node: Arc<ThreadNode>,
    body: Body,
    turn: Arc<Mutex<()>>,
    restart: Restart,
    owner: Owner,
    registry: Registry,
}

impl Runner {
    fn run(self) {
        loop {
            let exit = self.run_incarnation();
            // Orders that came meanwhile are why it ended; the policy speaks only when there are none.
            let has_orders = !self.node.orders.lock().is_empty();
            if !has_orders {
                if !self.restart.is_due(&exit) {
                    return self.leave(exit);
                }
                self.node.entry.set_state(ActorState::Restarting);
                self.owner.tell(exit, false, Vec::new());
            }
            if !self.await_restart() {
                return self.leave(Exit::Stopped);
            }
        }
    }

    fn run_incarnation(&self) -> Exit {
        let _turn = self.turn.lock();
        if self.node.entry.begin_incarnation() {
            self.registry.count_restart(self.node.entry.kind);
        }
        let context = ThreadContext { node: Arc::clone(&self.node) };
        let failure = match guarded(|| (self.body)(context).map_err(|error| clip(&chain(&*error)))) {
            Ok(Ok(())) => return Exit::Normal,
            Ok(Err(text)) | Err(text) => text,
        };
        self.node.entry.set_error(&failure);
        Exit::Failed(failure)
    }

    /// Waits for the verdict. False: stop.
    fn await_restart(&self) -> bool {
        let mut orders = self.node.orders.lock();
        loop {
            match orders.pop_front() {
                Some(Order::Restart) => {
                    // What is still queued was ordered after the restart and concerns the next incarnation.
                    self.node.is_stopping.store(!orders.is_empty(), Ordering::Release);
                    return true;
                }
                Some(Order::Stop { .. }) => return false,
                Some(Order::Suspend { .. }) => {
                    self.node.entry.set_state(ActorState::Restarting);
                    self.owner.tell(Exit::Suspended, false, Vec::new());
                }
                None => self.node.ordered.wait(&mut orders),
            }
        }
    }

    fn leave(&self, exit: Exit) {
        let is_failure = matches!(exit, Exit::Failed(_));
        self.node.entry.set_state(if is_failure { ActorState::Failed } else { ActorState::Stopped });
        self.owner.tell(exit, true, Vec::new());
    }
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
