//! What a plan is made from, and what it is made of.

use std::collections::{HashMap, HashSet};

use domain::{AgentId, LaneId};

/// A map by ids of ours, which nobody chooses so that they collide: hashed quickly, and in the same order in each process.
pub type IdMap<K, V> = HashMap<K, V, foldhash::fast::FixedState>;
/// A set of such ids.
pub type IdSet<K> = HashSet<K, foldhash::fast::FixedState>;

/// Number of priorities.
pub const PRIORITIES: usize = 10;

/// What waits in one lane.
#[derive(Debug, Clone)]
pub struct LaneQueue<'a> {
    /// Which lane.
    pub lane: LaneId,
    /// The queue it belongs to; lanes of one queue share that queue's turn.
    pub queue: u32,
    /// How many tasks wait, by priority.
    pub waiting: [u32; PRIORITIES],
    /// Agents that cover the lane, free or not.
    pub agents: &'a [AgentId],
}

/// What one agent can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentSlots {
    /// How many more tasks.
    pub free: u32,
    /// How many lanes it covers; the fewer, the sooner it is chosen.
    pub breadth: u32,
}

/// A situation that wants a plan.
#[derive(Debug, Clone)]
pub struct Problem<'a> {
    /// Lanes with waiting tasks.
    pub lanes: Vec<LaneQueue<'a>>,
    /// Agents with free slots.
    pub agents: IdMap<AgentId, AgentSlots>,
    /// How many more tasks may begin, by queue; a queue that is missing has no limit.
    pub room: IdMap<u32, u32>,
    /// Counts plans; decides which queue begins.
    pub turn: u64,
    /// Most slots that one plan gives out.
    pub slots_max: u32,
}

/// One line of a plan: so many heads of this lane and priority for this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// From which lane.
    pub lane: LaneId,
    /// Of which priority.
    pub priority: u8,
    /// For whom.
    pub agent: AgentId,
    /// How many.
    pub count: u32,
}
