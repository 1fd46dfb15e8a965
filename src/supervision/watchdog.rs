//! Tells when an arbiter stalls: a handler that blocks holds up every actor beside it, and nothing can interrupt it.
//!
//! The watchdog is a supervised thread, so that a stalled arbiter cannot hold it up too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::guard::guarded;
use crate::{Home, Registry, ThreadContext, ThreadSpec};

/// An arbiter stopped answering, or answers again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// The arbiter's name.
    pub arbiter: String,
    /// False: it has recovered.
    pub is_stalled: bool,
    /// How long its answer took, or takes so far.
    pub waited: Duration,
}

type OnChange = Arc<dyn Fn(&Stall) + Send + Sync>;

/// Watches arbiters: asks each for a sign of life every second, and calls it stalled after two without, unless said
/// otherwise. The registry shows the actors of a stalled arbiter as stalled.
#[derive(Clone)]
pub struct Watchdog {
    homes: Vec<Home>,
    interval: Duration,
    late_after: Duration,
    on_change: Option<OnChange>,
}

impl Watchdog {
    /// Watches these arbiters and shows them in the registry.
    #[must_use]
    pub fn new(registry: &Registry, homes: impl Into<Vec<Home>>) -> Self {
        let homes = homes.into();
        registry.watch(&homes);
        Self { homes, interval: Duration::from_secs(1), late_after: Duration::from_secs(2), on_change: None }
    }

    /// How often each arbiter is asked.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How late an answer may be.
    #[must_use]
    pub fn late_after(mut self, late_after: Duration) -> Self {
        self.late_after = late_after;
        self
    }

    /// Called on the watchdog's thread at each change.
    #[must_use]
    pub fn on_change(mut self, on_change: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(on_change));
        self
    }

    /// The thread to put under a supervisor.
    #[must_use]
    pub fn into_thread(self, id: impl Into<Arc<str>>) -> ThreadSpec {
        ThreadSpec::new(id, move |cx| {
            self.watch(&cx);
            Ok(())
        })
        .kind("watchdog")
    }

    fn watch(&self, cx: &ThreadContext) {
        let mut pulses: Vec<Pulse> = self.homes.iter().map(Pulse::new).collect();
        while !cx.sleep(self.interval.min(self.late_after)) {
            cx.checkpoint();
            for pulse in &mut pulses {
                if let Some(change) = pulse.feel(self.interval, self.late_after) {
                    self.report(&change);
                }
            }
        }
    }

    fn report(&self, change: &Stall) {
        let waited_ms = u64::try_from(change.waited.as_millis()).unwrap_or(u64::MAX);
        if change.is_stalled {
            tracing::warn!(arbiter = %change.arbiter, waited_ms, "arbiter stalled");
        } else {
            tracing::warn!(arbiter = %change.arbiter, waited_ms, "arbiter recovered");
        }
        if let Some(on_change) = &self.on_change
            && let Err(text) = guarded(|| on_change(change))
        {
            tracing::error!(error = %text, "the watchdog's on_change panicked");
        }
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("homes", &self.homes)
            .field("interval", &self.interval)
            .field("late_after", &self.late_after)
            .finish_non_exhaustive()
    }
}

/// The questions to one arbiter, of which one at most is open.
struct Pulse {
    home: Home,
    asked_at: Instant,
    asked: u64,
    answered: Arc<AtomicU64>,
}

impl Pulse {
    fn new(home: &Home) -> Self {
        let pulse = Self {
            home: home.clone(),
            asked_at: Instant::now(),
            asked: 1,
            answered: Arc::new(AtomicU64::new(0)),
        };
        pulse.ask();
        pulse
    }

    fn ask(&self) {
        let (answered, number) = (Arc::clone(&self.answered), self.asked);
        // An arbiter that has ended never answers, which is a stall for good.
        self.home.post(move || answered.store(number, Ordering::Release));
    }

    fn feel(&mut self, interval: Duration, late_after: Duration) -> Option<Stall> {
        let waited = self.asked_at.elapsed();
        let is_answered = self.answered.load(Ordering::Acquire) == self.asked;
        let was_stalled = self.home.is_stalled();
        if is_answered && waited >= interval {
            self.asked += 1;
            self.asked_at = Instant::now();
            self.ask();
        }
        let is_stalled = !is_answered && (was_stalled || waited > late_after);
        if is_stalled == was_stalled {
            return None;
        }
        self.home.mark_stalled(is_stalled);
        Some(Stall { arbiter: self.home.name().to_owned(), is_stalled, waited })
    }
}
