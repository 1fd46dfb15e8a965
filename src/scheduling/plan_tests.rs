//! Plans, property by property.

use std::collections::HashMap;

use domain::LaneId;
use proptest::prelude::*;

use super::*;

/// A situation in plain numbers: which queue each lane is of, what waits in it, and who covers it.
#[derive(Debug, Clone)]
struct Case {
    lanes: Vec<(u32, [u32; PRIORITIES], Vec<AgentId>)>,
    free: Vec<u32>,
    /// What the limits of queues leave.
    room: HashMap<u32, u32>,
    turn: u64,
    slots_max: u32,
}

fn agent(index: usize) -> AgentId {
    AgentId::from_raw(i64::try_from(index).unwrap() + 1)
}

impl Case {
    fn problem(&self) -> Problem<'_> {
        let breadth = |agent: AgentId| self.lanes.iter().filter(|lane| lane.2.contains(&agent)).count();
        Problem {
            lanes: (1..)
                .zip(&self.lanes)
                .map(|(lane, (queue, waiting, agents))| LaneQueue {
                    lane: LaneId(lane),
                    queue: *queue,
                    waiting: *waiting,
                    agents,
                })
                .collect(),
            agents: self
                .free
                .iter()
                .enumerate()
                .map(|(index, free)| {
                    let breadth = u32::try_from(breadth(agent(index))).unwrap();
                    (agent(index), AgentSlots { free: *free, breadth })
                })
                .collect(),
            room: self.room.iter().map(|(queue, room)| (*queue, *room)).collect(),
            turn: self.turn,
            slots_max: self.slots_max,
        }
    }

    /// What is left after a plan: waiting by lane and priority, free by agent.
    fn after(&self, claims: &[Claim]) -> (HashMap<(i64, u8), i64>, HashMap<AgentId, i64>) {
        let mut waiting = HashMap::new();
        for (lane, (_, levels, _)) in (1..).zip(&self.lanes) {
            for (priority, count) in (0..).zip(levels) {
                waiting.insert((lane, priority), i64::from(*count));
            }
        }
        let mut free: HashMap<_, _> =
            self.free.iter().enumerate().map(|(index, free)| (agent(index), i64::from(*free))).collect();
        for claim in claims {
            *waiting.get_mut(&(claim.lane.0, claim.priority)).unwrap() -= i64::from(claim.count);
            *free.get_mut(&claim.agent).unwrap() -= i64::from(claim.count);
        }
        (waiting, free)
    }

    /// How many tasks of each queue a plan begins.
    fn begun(&self, claims: &[Claim]) -> HashMap<u32, u32> {
        let mut begun = HashMap::new();
        for claim in claims {
            *begun.entry(self.queue(claim.lane.0)).or_default() += claim.count;
        }
        begun
    }

    fn queue(&self, lane: i64) -> u32 {
        self.lanes[usize::try_from(lane - 1).unwrap()].0
    }

    fn covers(&self, lane: i64, agent: AgentId) -> bool {
        self.lanes[usize::try_from(lane - 1).unwrap()].2.contains(&agent)
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let lane = (0u32..4, prop::array::uniform10(prop_oneof![3 => Just(0u32), 1 => 0u32..8]), any::<u8>());
    let room = prop::collection::hash_map(0u32..4, 0u32..6, 0..3);
    (prop::collection::vec(lane, 0..8), prop::collection::vec(0u32..6, 0..7), room, any::<u64>()).prop_map(
        |(lanes, free, room, turn)| Case {
            lanes: lanes
                .into_iter()
                .map(|(queue, waiting, mask)| {
                    let covered = (0..free.len()).filter(|index| mask >> index & 1 == 1).map(agent);
                    (queue, waiting, covered.collect())
                })
                .collect(),
            free,
            room,
            turn,
            slots_max: 1_000,
        },
    )
}

proptest! {
    #[test]
    fn a_plan_stays_within_what_waits_what_is_free_and_who_covers(case in any_case()) {
        let claims = plan(case.problem());
        let (waiting, free) = case.after(&claims);
        prop_assert!(waiting.values().all(|left| *left >= 0));
        prop_assert!(free.values().all(|left| *left >= 0));
        for claim in &claims {
            prop_assert!(claim.count > 0);
            prop_assert!(case.covers(claim.lane.0, claim.agent));
        }
    }

    #[test]
    fn a_plan_begins_no_more_of_a_queue_than_its_limit_leaves(case in any_case()) {
        for (queue, begun) in case.begun(&plan(case.problem())) {
            prop_assert!(case.room.get(&queue).is_none_or(|room| begun <= *room), "{begun} of queue {queue}");
        }
    }

    #[test]
    fn a_plan_leaves_no_free_slot_that_something_waits_for(case in any_case()) {
        let claims = plan(case.problem());
        let (waiting, free) = case.after(&claims);
        let begun = case.begun(&claims);
        let is_full = |queue: u32| case.room.get(&queue) == Some(&begun.get(&queue).copied().unwrap_or(0));
        for ((lane, _), _) in waiting.iter().filter(|((lane, _), left)| **left > 0 && !is_full(case.queue(*lane))) {
            for (agent, _) in free.iter().filter(|(_, left)| **left > 0) {
                prop_assert!(!case.covers(*lane, *agent), "{agent} is free and covers lane {lane}");
            }
        }
    }

    #[test]
    fn nothing_is_taken_while_something_more_urgent_waits_that_the_same_agent_covers(case in any_case()) {
        let claims = plan(case.problem());
        let (waiting, _) = case.after(&claims);
        let begun = case.begun(&claims);
        let is_full = |queue: u32| case.room.get(&queue) == Some(&begun.get(&queue).copied().unwrap_or(0));
        for claim in &claims {
            for ((lane, priority), left) in &waiting {
                let passed_over = *left > 0
                    && *priority > claim.priority
                    && case.covers(*lane, claim.agent)
                    && !is_full(case.queue(*lane));
                prop_assert!(!passed_over, "{claim:?} went before lane {lane} priority {priority}");
            }
        }
    }

    #[test]
    fn queues_that_the_same_agents_cover_get_equal_shares(
        waiting in prop::collection::vec(0u32..40, 1..6), free in prop::collection::vec(1u32..30, 1..5), turn: u64,
    ) {
        let all: Vec<_> = (0..free.len()).map(agent).collect();
        let level = |count| { let mut levels = [0; PRIORITIES]; levels[5] = count; levels };
        let case = Case {
            lanes: (0..).zip(&waiting).map(|(queue, count)| (queue, level(*count), all.clone())).collect(),
            free, room: HashMap::new(), turn, slots_max: 1_000,
        };
        let mut shares = vec![0; waiting.len()];
        for claim in plan(case.problem()) {
            shares[usize::try_from(claim.lane.0 - 1).unwrap()] += claim.count;
        }
        let largest = shares.iter().max().copied().unwrap_or(0);
        for (share, waiting) in shares.iter().zip(&waiting) {
            prop_assert!(share == waiting || share + 1 >= largest, "shares {shares:?} of {waiting:?}");
        }
    }
}

fn at_priority(priority: usize, count: u32) -> [u32; PRIORITIES] {
    let mut levels = [0; PRIORITIES];
    levels[priority] = count;
    levels
}

#[test]
fn the_specialist_goes_first_and_the_generalist_stays_free() {
    let (specialist, generalist) = (agent(0), agent(1));
    let case = Case {
        lanes: vec![
            (0, at_priority(5, 1), vec![specialist, generalist]),
            (0, at_priority(4, 1), vec![generalist]),
        ],
        free: vec![1, 1],
        room: HashMap::new(),
        turn: 0,
        slots_max: 10,
    };
    let claims = plan(case.problem());
    assert_eq!(claims.len(), 2);
    assert_eq!(claims[0].agent, specialist);
    assert_eq!(claims[1].agent, generalist);
}

#[test]
fn the_queue_that_begins_changes_from_plan_to_plan() {
    let one_slot = |turn| {
        let all = vec![agent(0)];
        let case = Case {
            lanes: vec![(0, at_priority(5, 9), all.clone()), (1, at_priority(5, 9), all)],
            free: vec![1],
            room: HashMap::new(),
            turn,
            slots_max: 10,
        };
        plan(case.problem())[0].lane.0
    };
    assert_ne!(one_slot(0), one_slot(1));
}

#[test]
fn equals_take_turns_and_a_plan_gives_out_no_more_than_its_maximum() {
    let all = vec![agent(0), agent(1), agent(2)];
    let case = Case {
        lanes: vec![(0, at_priority(5, 100), all)],
        free: vec![50, 50, 50],
        room: HashMap::new(),
        turn: 0,
        slots_max: 30,
    };
    let claims = plan(case.problem());
    assert_eq!(claims.iter().map(|claim| claim.count).collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn a_single_task_goes_to_the_most_specialised_agent_with_most_room() {
    let slots = HashMap::from([
        (agent(0), AgentSlots { free: 9, breadth: 3 }),
        (agent(1), AgentSlots { free: 1, breadth: 2 }),
        (agent(2), AgentSlots { free: 2, breadth: 2 }),
        (agent(3), AgentSlots { free: 0, breadth: 1 }),
    ]);
    let all: Vec<_> = (0..5).map(agent).collect();
    assert_eq!(pick(&all, |agent| slots.get(&agent).copied()), Some(agent(2)));
    assert_eq!(pick(&[], |agent| slots.get(&agent).copied()), None);
}
