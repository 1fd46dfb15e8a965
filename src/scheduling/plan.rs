//! The plan: priorities first, then turn by turn between queues, specialists before generalists.

use std::collections::{BTreeMap, VecDeque};

use domain::AgentId;

use crate::problem::{AgentSlots, Claim, IdMap, LaneQueue, PRIORITIES, Problem};

/// Gives free slots to waiting tasks. Costs `O(lanes x agents + slots)`.
#[must_use]
pub fn plan(problem: Problem<'_>) -> Vec<Claim> {
    let Problem { lanes, agents, room, turn, slots_max } = problem;
    let mut slots = Slots { left: slots_max, of_agents: agents, of_queues: room };
    let mut claims = Claims::default();
    for priority in (0..PRIORITIES).rev() {
        if slots.left == 0 || slots.of_agents.is_empty() {
            break;
        }
        share_out((&lanes, turn), priority, &mut slots, &mut claims);
    }
    claims.lines
}

/// The agent that should take one task of a lane that these agents cover: the most specialised with a free slot, and
/// of those the one with most room.
#[must_use]
pub fn pick<'a>(
    agents: impl IntoIterator<Item = &'a AgentId>,
    slots: impl Fn(AgentId) -> Option<AgentSlots>,
) -> Option<AgentId> {
    agents
        .into_iter()
        .filter_map(|agent| slots(*agent).filter(|slots| slots.free > 0).map(|slots| (agent, slots)))
        .min_by_key(|(agent, slots)| (slots.breadth, std::cmp::Reverse(slots.free), **agent))
        .map(|(agent, _)| *agent)
}

/// Lines of the plan under way, merged where lane, priority and agent are the same.
#[derive(Default)]
struct Claims {
    lines: Vec<Claim>,
    places: IdMap<(domain::LaneId, u8, AgentId), usize>,
}

impl Claims {
    fn add(&mut self, lane: domain::LaneId, priority: u8, agent: AgentId) {
        let place = *self.places.entry((lane, priority, agent)).or_insert_with(|| {
            self.lines.push(Claim { lane, priority, agent, count: 0 });
            self.lines.len() - 1
        });
        if let Some(line) = self.lines.get_mut(place) {
            line.count += 1;
        }
    }
}

/// What may still be given out while the plan is made.
struct Slots {
    /// By the whole plan.
    left: u32,
    /// By agent.
    of_agents: IdMap<AgentId, AgentSlots>,
    /// By queue, where that has a limit.
    of_queues: IdMap<u32, u32>,
}

impl Slots {
    fn is_full(&self, queue: u32) -> bool {
        self.of_queues.get(&queue) == Some(&0)
    }

    fn use_one(&mut self, queue: u32) {
        self.left -= 1;
        if let Some(room) = self.of_queues.get_mut(&queue) {
            *room -= 1;
        }
    }
}

/// A lane while one priority is shared out.
struct Taker<'a> {
    lane: &'a LaneQueue<'a>,
    waiting: u32,
    /// Agents that may still have room, the most specialised first, taking turns.
    candidates: VecDeque<(u32, AgentId)>,
}

/// Shares the free slots out among the lanes where tasks of `priority` wait. A queue that is full or has nothing more
/// to give loses its turn.
fn share_out(
    (lanes, turn): (&[LaneQueue<'_>], u64),
    priority: usize,
    slots: &mut Slots,
    claims: &mut Claims,
) {
    let level = u8::try_from(priority).unwrap_or(u8::MAX);
    let mut queues = takers(lanes, turn, priority, &slots.of_agents);
    while slots.left > 0 {
        let Some((number, mut lanes)) = queues.pop_front() else { break };
        if slots.is_full(number) {
            continue;
        }
        if let Some((lane, agent)) = take_one(&mut lanes, &mut slots.of_agents) {
            claims.add(lane, level, agent);
            slots.use_one(number);
            queues.push_back((number, lanes));
        }
    }
}

/// The lanes of one queue, by its number.
type QueueLanes<'a> = (u32, VecDeque<Taker<'a>>);

/// The lanes of each queue, beginning with the queue whose turn it is.
fn takers<'a>(
    lanes: &'a [LaneQueue<'a>],
    turn: u64,
    priority: usize,
    free: &IdMap<AgentId, AgentSlots>,
) -> VecDeque<QueueLanes<'a>> {
    let mut queues: BTreeMap<u32, VecDeque<Taker<'a>>> = BTreeMap::new();
    for lane in lanes {
        let waiting = lane.waiting.get(priority).copied().unwrap_or(0);
        if waiting > 0 {
            let candidates = candidates(lane, free);
            queues.entry(lane.queue).or_default().push_back(Taker { lane, waiting, candidates });
        }
    }
    let mut queues: VecDeque<_> = queues.into_iter().collect();
    if !queues.is_empty() {
        let count = u64::try_from(queues.len()).unwrap_or(1);
        let begin = usize::try_from(turn % count).unwrap_or(0);
        queues.rotate_left(begin);
    }
    queues
}

fn candidates(lane: &LaneQueue<'_>, free: &IdMap<AgentId, AgentSlots>) -> VecDeque<(u32, AgentId)> {
    let mut found: Vec<_> = lane
        .agents
        .iter()
        .filter_map(|agent| free.get(agent).filter(|slots| slots.free > 0).map(|slots| (*slots, *agent)))
        .collect();
    found.sort_by_key(|(slots, agent)| (slots.breadth, std::cmp::Reverse(slots.free), *agent));
    found.into_iter().map(|(slots, agent)| (slots.breadth, agent)).collect()
}

/// One task of the queue for one agent; the lane that gave it goes to the back. Lanes that can give nothing more are
/// dropped; `None` when none is left.
fn take_one(
    queue: &mut VecDeque<Taker<'_>>,
    free: &mut IdMap<AgentId, AgentSlots>,
) -> Option<(domain::LaneId, AgentId)> {
    while let Some(mut taker) = queue.pop_front() {
        let Some(agent) = next_agent(&mut taker.candidates, free) else { continue };
        taker.waiting -= 1;
        let lane = taker.lane.lane;
        if taker.waiting > 0 {
            queue.push_back(taker);
        }
        return Some((lane, agent));
    }
    None
}

/// The next agent in turn among the most specialised with room; uses up one of its slots.
fn next_agent(
    candidates: &mut VecDeque<(u32, AgentId)>,
    free: &mut IdMap<AgentId, AgentSlots>,
) -> Option<AgentId> {
    while let Some((breadth, agent)) = candidates.pop_front() {
        let Some(slots) = free.get_mut(&agent).filter(|slots| slots.free > 0) else { continue };
        slots.free -= 1;
        // Behind its equals, so that they take turns, but before those that can take more kinds of work.
        let behind = candidates.partition_point(|(other, _)| *other <= breadth);
        candidates.insert(behind, (breadth, agent));
        return Some(agent);
    }
    None
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
