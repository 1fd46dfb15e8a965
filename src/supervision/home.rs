//! An arbiter with a name: where actors live, and what the watchdog watches.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

use actix_rt::{Arbiter, ArbiterHandle};

/// A named arbiter (one thread that runs actors). Cheap to clone; clones are the same home.
#[derive(Clone)]
pub struct Home {
    place: Arc<Place>,
}

struct Place {
    name: Arc<str>,
    arbiter: ArbiterHandle,
    /// Known once the arbiter has run our first function.
    thread: OnceLock<ThreadId>,
    is_stalled: AtomicBool,
    stall_count: AtomicU64,
}

impl Home {
    /// Names an arbiter.
    #[must_use]
    pub fn new(name: &str, arbiter: &ArbiterHandle) -> Self {
        let home = Self {
            place: Arc::new(Place {
                name: Arc::from(name),
                arbiter: arbiter.clone(),
                thread: OnceLock::new(),
                is_stalled: AtomicBool::new(false),
                stall_count: AtomicU64::new(0),
            }),
        };
        let place = Arc::clone(&home.place);
        arbiter.spawn_fn(move || place.learn_thread());
        home
    }

    /// Names the arbiter of the current thread. `None` outside of one.
    #[must_use]
    pub fn current(name: &str) -> Option<Self> {
        let home = Self::new(name, &Arbiter::try_current()?);
        home.place.learn_thread();
        Some(home)
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Whether the watchdog misses an answer of this arbiter.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.place.is_stalled.load(Ordering::Relaxed)
    }

    /// How often the watchdog missed an answer.
    #[must_use]
    pub fn stall_count(&self) -> u64 {
        self.place.stall_count.load(Ordering::Relaxed)
    }

    /// Runs `work` on the arbiter: now, if this is its thread. False: the arbiter is gone.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let is_its_thread = self.place.thread.get() == Some(&std::thread::current().id());
        // Outside of its loop, even the right thread can only leave a message.
        if is_its_thread && tokio::runtime::Handle::try_current().is_ok() {
            work();
            return true;
        }
        self.post(work)
    }

    /// Runs `work` on the arbiter after what is already waiting there. False: the arbiter is gone.
    pub(crate) fn post(&self, work: impl FnOnce() + Send + 'static) -> bool {
        self.place.arbiter.spawn_fn(work)
    }

    pub(crate) fn mark_stalled(&self, is_stalled: bool) {
        let was_stalled = self.place.is_stalled.swap(is_stalled, Ordering::Relaxed);
        if is_stalled && !was_stalled {
            self.place.stall_count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Place {
    fn learn_thread(&self) {
        // A second writer has the same answer.
        let _ = self.thread.set(std::thread::current().id());
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Home").field(&self.name()).finish()
    }
}
