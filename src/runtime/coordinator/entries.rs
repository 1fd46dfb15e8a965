//! The entries of the coordinator's books: one a lane, an agent, a queue and a held attempt.

use std::sync::Arc;

use domain::{Agent, AgentId, LaneId, LaneSpec, TaskId, Timestamp};
use scheduling::problem::PRIORITIES;
use scheduling::{AgentSlots, Claim, IdSet};

/// Ends under way whose slots are planned for at a time, of one agent: each is looked at by each claim behind them.
pub(crate) const ENDING_MAX: usize = 64;

/// Where planned slots come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The lane of the tasks.
    pub lane: LaneId,
    /// Their priority where they are heads of that lane; `None` for a task that is claimed at its submit.
    pub head: Option<u8>,
}

impl Origin {
    /// The heads of a plan's line.
    pub(crate) fn of(claim: &Claim) -> Self {
        Self { lane: claim.lane, head: Some(claim.priority) }
    }
}

/// What waits in a lane, and who may take it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) spec: Arc<LaneSpec>,
    pub(crate) queue: QueueNumber,
    pub(crate) waiting: [u32; PRIORITIES],
    pub(crate) planned: [u32; PRIORITIES],
    pub(crate) agents: Vec<AgentId>,
}

impl Lane {
    /// What waits and is not planned, by priority.
    pub(crate) fn claimable(&self) -> [u32; PRIORITIES] {
        let mut left = self.waiting;
        for (left, planned) in left.iter_mut().zip(self.planned) {
            *left = left.saturating_sub(planned);
        }
        left
    }
}

/// What an agent holds and wants.
#[derive(Debug)]
pub(crate) struct AgentBook {
    pub(crate) agent: Arc<Agent>,
    pub(crate) wanted: u32,
    pub(crate) in_flight: u32,
    pub(crate) held: u32,
    /// Attempts of those it holds whose ends are under way to the store.
    pub(crate) ending: IdSet<(TaskId, u32)>,
    pub(crate) breadth: u32,
    /// How many claims came back for it; an offer made before the last one is outdated.
    pub(crate) deliveries: u64,
}

impl AgentBook {
    /// What it can take now, in slots that are about to be free, too: such are claimed behind the ends that free them.
    pub(crate) fn slots(&self) -> AgentSlots {
        self.free(u32::try_from(self.ending.len().min(ENDING_MAX)).unwrap_or(0))
    }

    /// What it can take now, whatever becomes of the ends that are under way.
    pub(crate) fn free_slots(&self) -> AgentSlots {
        self.free(0)
    }

    fn free(&self, ending: u32) -> AgentSlots {
        let room = self.agent.asked.capacity.saturating_sub(self.held.saturating_sub(ending));
        let free = self.wanted.min(room).saturating_sub(self.in_flight);
        AgentSlots { free: if self.agent.is_draining { 0 } else { free }, breadth: self.breadth }
    }
}

/// The place of a queue in the books, good until they are built anew.
pub(crate) type QueueNumber = u32;

/// What waits in a queue and what is worked on, beside what it allows.
#[derive(Debug, Default)]
pub(crate) struct QueueBook {
    pub(crate) waiting: u64,
    pub(crate) is_paused: bool,
    pub(crate) limit: Option<u32>,
    pub(crate) in_flight: u32,
    pub(crate) held: u32,
}

impl QueueBook {
    /// How many more tasks may begin; `None` where there is no limit.
    pub(crate) fn room(&self) -> Option<u32> {
        if self.is_paused {
            return Some(0);
        }
        self.limit.map(|limit| limit.saturating_sub(self.held).saturating_sub(self.in_flight))
    }
}

/// An attempt that somebody holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) attempt: u32,
    pub(crate) agent: AgentId,
    pub(crate) lane: LaneId,
    pub(crate) started_at: Timestamp,
}
