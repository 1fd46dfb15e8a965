//! What the registry knows of one actor: atomics that the actor writes and snapshots read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::Serialize;

use crate::gate::Gate;
use crate::{Fault, Home};

/// What an actor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Created, and its first incarnation has not begun.
    Starting,
    /// Takes messages.
    Running,
    /// Between two incarnations; messages wait.
    Restarting,
    /// Ends in an orderly way.
    Stopping,
    /// Ended without a failure.
    Stopped,
    /// Ended by a failure, and is not restarted.
    Failed,
    /// Should run, but its arbiter does not answer the watchdog.
    Stalled,
}

impl ActorState {
    const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Restarting,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
        Self::Stalled,
    ];

    fn code(self) -> u8 {
        Self::ALL
            .iter()
            .zip(0_u8..)
            .find_map(|(state, code)| (*state == self).then_some(code))
            .unwrap_or_default()
    }

    fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Starting)
    }
}

/// The last thing that went wrong with an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// What the panic or the error said, at most 2 KiB.
    pub text: Arc<str>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl LastError {
    pub(crate) fn new(text: Arc<str>) -> Self {
        Self { text, at_ms: unix_ms() }
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The path of a supervisor. Children point to it, so that starting one formats nothing.
pub(crate) struct Trail {
    pub(crate) parent: Option<Arc<Trail>>,
    pub(crate) segment: Arc<str>,
}

impl Trail {
    fn write(&self, path: &mut String) {
        if let Some(parent) = &self.parent {
            parent.write(path);
            path.push('/');
        }
        path.push_str(&self.segment);
    }
}

/// One actor as the registry sees it.
pub(crate) struct Entry {
    pub(crate) trail: Option<Arc<Trail>>,
    pub(crate) segment: Arc<str>,
    pub(crate) kind: &'static str,
    pub(crate) home: Option<Home>,
    pub(crate) gate: Gate,
    /// Where the registry keeps it.
    pub(crate) place: AtomicUsize,
    state: AtomicU8,
    fault: AtomicU8,
    incarnation: AtomicU64,
    restarts: AtomicU64,
    last_error: Mutex<Option<Box<LastError>>>,
}

impl Entry {
    pub(crate) fn new(
        trail: Option<Arc<Trail>>,
        segment: Arc<str>,
        kind: &'static str,
        capacity: usize,
    ) -> Self {
        Self {
            trail,
            segment,
            kind,
            home: None,
            gate: Gate::new(capacity),
            place: AtomicUsize::new(usize::MAX),
            state: AtomicU8::new(ActorState::Starting.code()),
            fault: AtomicU8::new(0),
            incarnation: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    /// Says which arbiter the actor lives on.
    pub(crate) fn on(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// Goes on counting where an earlier mailbox of the same child spec ended.
    pub(crate) fn after(self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            self.incarnation.store(earlier.incarnation(), Ordering::Relaxed);
            self.restarts.store(earlier.restarts(), Ordering::Relaxed);
            (*self.last_error.lock()).clone_from(&earlier.last_error.lock());
        }
        self
    }

    pub(crate) fn path(&self) -> Arc<str> {
        let mut path = String::with_capacity(64);
        if let Some(trail) = &self.trail {
            trail.write(&mut path);
            path.push('/');
        }
        path.push_str(&self.segment);
        Arc::from(path)
    }

    /// Counts a new incarnation, and a restart if it is not the first. True: it is a restart.
    pub(crate) fn begin_incarnation(&self) -> bool {
        let is_restart = self.incarnation.fetch_add(1, Ordering::Relaxed) > 0;
        if is_restart {
            self.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.set_state(ActorState::Running);
        is_restart
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Relaxed)
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(crate) fn set_state(&self, state: ActorState) {
        self.state.store(state.code(), Ordering::Release);
    }

    /// The state as the actor itself reports it.
    pub(crate) fn state(&self) -> ActorState {
        ActorState::from_code(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set_error(&self, text: &Arc<str>) {
        *self.last_error.lock() = Some(Box::new(LastError::new(Arc::clone(text))));
    }

    pub(crate) fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().as_deref().cloned()
    }

    pub(crate) fn arm(&self, fault: Fault) {
        self.fault.store(fault.code(), Ordering::Release);
    }

    /// The fault to commit now, once.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        // The load keeps the usual case free of a write.
        if self.fault.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Fault::from_code(self.fault.swap(0, Ordering::AcqRel))
    }
}
