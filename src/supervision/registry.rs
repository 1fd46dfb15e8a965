//! The live tree: who lives, how it fares, what failed lately. Also where fault drills begin.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use crate::entry::{ActorState, Entry, LastError, unix_ms};
use crate::node::Node;
use crate::{Fault, Home, UnknownActor};

/// Actors looked at under one lock, so that a snapshot of 100,000 does not hold up who starts one.
const MAX_ACTORS_PER_LOCK: usize = 512;

/// Failures remembered: enough to see a bad hour, small enough to keep.
const MAX_RECENT_FAILURES: usize = 256;

/// All actors of a tree. Cheap to clone; clones are the same registry.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    places: Mutex<Places>,
    restarts: AtomicU64,
    restarts_by_kind: Mutex<BTreeMap<&'static str, u64>>,
    failures: Mutex<VecDeque<Failure>>,
    homes: Mutex<Vec<Home>>,
}

/// A slab: a place is used again when its actor is gone.
#[derive(Default)]
struct Places {
    nodes: Vec<Option<Arc<dyn Node>>>,
    free: Vec<usize>,
}

/// One actor at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActorSnapshot {
    /// Its place in the tree: `hive/agents/agent_01H…`.
    pub path: Arc<str>,
    /// What kind of actor.
    pub kind: &'static str,
    /// What it is doing.
    pub state: ActorState,
    /// The arbiter it lives on; none for a thread.
    pub arbiter: Option<String>,
    /// How often it was built, from 1; 0 before it has begun.
    pub incarnation: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// How many messages wait.
    pub mailbox_depth: usize,
    /// How many may; 0 for what has no mailbox.
    pub mailbox_capacity: usize,
    /// The last thing that went wrong.
    pub last_error: Option<LastError>,
}

/// An arbiter that a watchdog watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArbiterSnapshot {
    /// Its name.
    pub name: String,
    /// Whether it misses its answer now.
    pub is_stalled: bool,
    /// How often it did.
    pub stall_count: u64,
}

/// Which actors a snapshot is about.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotFilter<'a> {
    /// Only paths that begin with this.
    pub prefix: &'a str,
    /// Only this kind.
    pub kind: Option<&'a str>,
    /// At most so many, those that were started first as far as known.
    pub limit: usize,
}

impl Default for SnapshotFilter<'_> {
    /// Everything, at most 1,000.
    fn default() -> Self {
        Self { prefix: "", kind: None, limit: 1000 }
    }
}

/// What a supervisor did about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// A new incarnation begins.
    Restarted,
    /// Its restart policy asks for nothing.
    Ended,
    /// It failed too often and was removed.
    GivenUp,
    /// It failed too often, and its supervisor fails with it.
    Escalated,
}

/// A failure and what followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Who failed.
    pub path: Arc<str>,
    /// What kind of actor.
    pub kind: &'static str,
    /// Which incarnation.
    pub incarnation: u64,
    /// What the panic or error said.
    pub text: Arc<str>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What the supervisor did.
    pub consequence: Consequence,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The actors that pass the filter, by path. Paths are formatted here and nowhere else.
    #[must_use]
    pub fn snapshot(&self, filter: &SnapshotFilter) -> Vec<ActorSnapshot> {
        let mut found = Vec::new();
        self.visit(|node| {
            let entry = node.entry();
            if filter.kind.is_none_or(|kind| kind == entry.kind) {
                let path = entry.path();
                if path.starts_with(filter.prefix) {
                    found.push(snapshot_of(entry, path));
                }
            }
            found.len() < filter.limit
        });
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// How many actors are registered.
    #[must_use]
    pub fn actor_count(&self) -> usize {
        let places = self.inner.places.lock();
        places.nodes.len().saturating_sub(places.free.len())
    }

    /// Restarts of all actors since the start, those that are gone included.
    #[must_use]
    pub fn restarts_total(&self) -> u64 {
        self.inner.restarts.load(Ordering::Relaxed)
    }

    /// The same by kind. Kinds that never restarted are not in it.
    #[must_use]
    pub fn restarts_by_kind(&self) -> BTreeMap<&'static str, u64> {
        self.inner.restarts_by_kind.lock().clone()
    }

    /// The same by path, for registered actors that were restarted at least once.
    #[must_use]
    pub fn restarts_by_path(&self) -> BTreeMap<Arc<str>, u64> {
        let mut restarts = BTreeMap::new();
        self.visit(|node| {
            let entry = node.entry();
            if entry.restarts() > 0 {
                restarts.insert(entry.path(), entry.restarts());
            }
            true
        });
        restarts
    }

    /// The last failures, newest first, at most 256.
    #[must_use]
    pub fn recent_failures(&self) -> Vec<Failure> {
        self.inner.failures.lock().iter().rev().cloned().collect()
    }

    /// The arbiters that a watchdog watches.
    #[must_use]
    pub fn arbiters(&self) -> Vec<ArbiterSnapshot> {
        let homes = self.inner.homes.lock();
        homes
            .iter()
            .map(|home| ArbiterSnapshot {
                name: home.name().to_owned(),
                is_stalled: home.is_stalled(),
                stall_count: home.stall_count(),
            })
            .collect()
    }

    /// Makes the actor fail now, or as soon as it is able to: a fault drill. A thread fails at its next checkpoint.
    /// No route of the product reaches this.
    ///
    /// # Errors
    /// [`UnknownActor`]: nobody has this path.
    pub fn inject(&self, path: &str, fault: Fault) -> Result<(), UnknownActor> {
        let node = self.find(path)?;
        node.entry().arm(fault);
        node.poke();
        Ok(())
    }

    /// Makes the actor fail in place of handling its next message or timer, whose sender sees it.
    ///
    /// # Errors
    /// [`UnknownActor`]: nobody has this path.
    pub fn inject_at_next_message(&self, path: &str, fault: Fault) -> Result<(), UnknownActor> {
        self.find(path)?.entry().arm(fault);
        Ok(())
    }

    pub(crate) fn register(&self, node: &Arc<dyn Node>) {
        let mut places = self.inner.places.lock();
        let vacant = places.free.pop();
        let place = match vacant {
            Some(place) => place,
            None => {
                places.nodes.push(None);
                places.nodes.len() - 1
            }
        };
        if let Some(slot) = places.nodes.get_mut(place) {
            *slot = Some(Arc::clone(node));
        }
        node.entry().place.store(place, Ordering::Release);
    }

    pub(crate) fn deregister(&self, entry: &Entry) {
        // Swapped, so that doing it twice frees nobody else's place.
        let place = entry.place.swap(usize::MAX, Ordering::AcqRel);
        let gone = {
            let mut places = self.inner.places.lock();
            let gone = places.nodes.get_mut(place).and_then(Option::take);
            if gone.is_some() {
                places.free.push(place);
            }
            gone
        };
        // Dropped outside of the lock: it may be the last reference to a whole mailbox.
        drop(gone);
    }

    pub(crate) fn count_restart(&self, kind: &'static str) {
        self.inner.restarts.fetch_add(1, Ordering::Relaxed);
        *self.inner.restarts_by_kind.lock().entry(kind).or_default() += 1;
    }

    pub(crate) fn note_failure(&self, entry: &Entry, text: &Arc<str>, consequence: Consequence) {
        let failure = Failure {
            path: entry.path(),
            kind: entry.kind,
            incarnation: entry.incarnation(),
            text: Arc::clone(text),
            at_ms: unix_ms(),
            consequence,
        };
        tracing::warn!(
            actor.path = %failure.path,
            actor.kind = failure.kind,
            actor.incarnation = failure.incarnation,
            error = %failure.text,
            consequence = ?consequence,
            "actor failed"
        );
        let mut failures = self.inner.failures.lock();
        if failures.len() >= MAX_RECENT_FAILURES {
            failures.pop_front();
        }
        failures.push_back(failure);
    }

    pub(crate) fn watch(&self, homes: &[Home]) {
        self.inner.homes.lock().extend_from_slice(homes);
    }

    fn find(&self, path: &str) -> Result<Arc<dyn Node>, UnknownActor> {
        let mut found = None;
        self.visit(|node| {
            if &*node.entry().path() == path {
                found = Some(Arc::clone(node));
            }
            found.is_none()
        });
        found.ok_or_else(|| UnknownActor { path: path.to_owned() })
    }

    /// Shows every actor to `look`, until it says false.
    fn visit(&self, mut look: impl FnMut(&Arc<dyn Node>) -> bool) {
        let mut next = 0;
        loop {
            let (batch, is_last): (Vec<_>, bool) = {
                let places = self.inner.places.lock();
                let rest = places.nodes.get(next..).unwrap_or_default();
                let batch = rest.iter().take(MAX_ACTORS_PER_LOCK).flatten().cloned().collect();
                (batch, rest.len() <= MAX_ACTORS_PER_LOCK)
            };
            if !batch.iter().all(&mut look) || is_last {
                return;
            }
            next += MAX_ACTORS_PER_LOCK;
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("actor_count", &self.actor_count()).finish_non_exhaustive()
    }
}

fn snapshot_of(entry: &Entry, path: Arc<str>) -> ActorSnapshot {
    let state = match entry.state() {
        ActorState::Running if entry.home.as_ref().is_some_and(Home::is_stalled) => ActorState::Stalled,
        state => state,
    };
    ActorSnapshot {
        path,
        kind: entry.kind,
        state,
        arbiter: entry.home.as_ref().map(|home| home.name().to_owned()),
        incarnation: entry.incarnation(),
        restarts: entry.restarts(),
        mailbox_depth: entry.gate.depth(),
        mailbox_capacity: entry.gate.capacity(),
        last_error: entry.last_error(),
    }
}
