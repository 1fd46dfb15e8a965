//! A plan over the books of a busy hive: 40 queues with five lanes each and three priorities, 100 agents of which some can
//! take much and some little, a few queues with a limit, and more tasks waiting than slots are free.

use std::hint::black_box;

use anyhow::{Result, ensure};
use domain::{AgentId, LaneId};
use scheduling::problem::PRIORITIES;
use scheduling::{AgentSlots, IdMap, LaneQueue, Problem, plan};

use crate::Round;

const QUEUES: u32 = 40;
const LANES_OF_A_QUEUE: u32 = 5;
const AGENTS: i64 = 100;
/// As the coordinator has it.
const SLOTS_MAX: u32 = 2_000;

pub fn prepare() -> Result<Round> {
    let covered = (0..i64::from(QUEUES * LANES_OF_A_QUEUE)).map(covering).collect::<Vec<_>>();
    // For as long as the process lives, as the problem that borrows it.
    let covered: &'static [Vec<AgentId>] = covered.leak();
    let agents = agents(covered);
    let free: u32 = agents.values().map(|slots| slots.free).sum();
    let room = (0..QUEUES).step_by(8).map(|queue| (queue, 3)).collect();
    let mut problem = Problem { lanes: lanes(covered), agents, room, turn: 0, slots_max: SLOTS_MAX };
    Ok(Box::new(move || {
        problem.turn += 1;
        let claims = plan(black_box(problem.clone()));
        let given: u32 = claims.iter().map(|claim| claim.count).sum();
        ensure!(given == free, "{given} slots of {free} were given out");
        Ok(())
    }))
}

/// Who may take the tasks of a lane: one agent of ten takes everything, each other one every seventh lane.
fn covering(lane: i64) -> Vec<AgentId> {
    let takes = |agent: &i64| agent % 10 == 0 || (agent + lane) % 7 == 0;
    (0..AGENTS).filter(takes).map(AgentId::from_raw).collect()
}

fn agents(covered: &[Vec<AgentId>]) -> IdMap<AgentId, AgentSlots> {
    let mut agents = IdMap::default();
    for agent in covered.iter().flatten() {
        // One to eight slots.
        let free = u32::try_from(agent.raw() % 8).unwrap_or(0) + 1;
        agents.entry(*agent).or_insert(AgentSlots { free, breadth: 0 }).breadth += 1;
    }
    agents
}

fn lanes(covered: &[Vec<AgentId>]) -> Vec<LaneQueue<'_>> {
    let lane = |(number, agents)| {
        let mut waiting = [0; PRIORITIES];
        for (priority, count) in [(2, number % 3), (5, 20), (8, number % 2)] {
            if let Some(level) = waiting.get_mut(priority) {
                *level = count;
            }
        }
        LaneQueue { lane: LaneId(i64::from(number)), queue: number / LANES_OF_A_QUEUE, waiting, agents }
    };
    (0..).zip(covered.iter().map(Vec::as_slice)).map(lane).collect()
}
