//! What all actors of one process share, none of it decisive: the store decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use domain::{IdGenerator, TaskId};
use feed::FeedHandle;
use links::Links;
use parking_lot::Mutex;
use store::writer::WriterHandle;
use store::{Clock, Readers};
use supervision::SupervisorRef;

use crate::board::Board;
use crate::directory::Directory;
use crate::error::Error;
use crate::inbox::Inbox;
use crate::key_ring::KeyRing;
use crate::metrics::Metrics;
use crate::performance::Performance;
use crate::settings::RuntimeSettings;
use crate::task::ProcessCount;

/// Where the hive is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It takes nothing yet.
    Starting,
    /// It works.
    Serving,
    /// It takes nothing new and finishes what is under way.
    Draining,
}

/// Shared by all actors.
pub struct Shared {
    /// Commits.
    pub writer: WriterHandle,
    /// Reads.
    pub readers: Readers,
    /// The projection.
    pub feed: FeedHandle,
    /// The time.
    pub clock: Clock,
    /// The numbers.
    pub settings: RuntimeSettings,
    /// Agents' actors.
    pub directory: Directory,
    /// Running attempts.
    pub board: Board,
    /// API keys.
    pub key_ring: KeyRing,
    /// Commits on their way to the feed.
    pub feed_inbox: Inbox,
    /// Commits and claims on their way to the coordinator.
    pub coordinator_inbox: Inbox,
    /// Over the agents' actors.
    pub agents: SupervisorRef,
    /// Over the tasks' actors.
    pub tasks: SupervisorRef,
    /// How assignments leave for processes.
    pub links: Links,
    /// Processes that run now.
    pub processes: ProcessCount,
    /// Counters.
    pub metrics: Metrics,
    /// What is counted over time.
    pub performance: Performance,
    /// This node's number.
    pub node: u16,
    pub(crate) ids: Mutex<IdGenerator>,
    /// Sessions that took assignments so far: the number of the next one.
    pub(crate) consumers: AtomicU64,
    pub(crate) phase: AtomicU8,
}

impl Shared {
    /// A new task's id.
    pub fn next_task_id(&self) -> TaskId {
        TaskId::from_raw(self.ids.lock().next_raw(self.clock.now()))
    }

    /// A new agent's id.
    pub fn next_agent_id(&self) -> domain::AgentId {
        domain::AgentId::from_raw(self.ids.lock().next_raw(self.clock.now()))
    }

    /// A new API key's id.
    pub fn next_api_key_id(&self) -> domain::ApiKeyId {
        domain::ApiKeyId::from_raw(self.ids.lock().next_raw(self.clock.now()))
    }

    /// Where the hive is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    /// Nothing is begun before the start is over, nor while the hive drains.
    pub(crate) fn refuse_unless_serving(&self) -> Result<(), Error> {
        match self.phase() {
            Phase::Serving => Ok(()),
            Phase::Starting => Err(Error::NotReady("starting")),
            Phase::Draining => Err(Error::NotReady("draining")),
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        let code = match phase {
            Phase::Starting => 0,
            Phase::Serving => 1,
            Phase::Draining => 2,
        };
        self.phase.store(code, Ordering::Release);
    }
}

/// A random number from 0 to 1, for jitter.
pub(crate) fn chance() -> f64 {
    rand::random()
}

/// Many hands, one store.
pub type SharedRef = Arc<Shared>;
