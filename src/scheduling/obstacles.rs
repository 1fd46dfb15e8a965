//! Why a task that is ready has not been claimed yet, for people who ask.

use std::collections::BTreeSet;

use domain::{Agent, AgentState, LaneSpec, Name};

/// A ready task among all that decides when it begins.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// Its lane.
    pub spec: &'a LaneSpec,
    /// Whether its queue is paused.
    pub is_paused: bool,
    /// Most tasks of its queue that are worked on at a time.
    pub concurrency_limit: Option<u32>,
    /// How many tasks of its queue are worked on.
    pub working: u64,
    /// The tenant's agents, each with the number of attempts it holds.
    pub agents: &'a [(Agent, u64)],
}

/// Something that keeps a task waiting, or, where nothing does, what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Its queue is paused.
    QueuePaused,
    /// Its queue works on as many tasks as it may.
    Limit {
        /// So many are worked on.
        used: u64,
        /// So many may be.
        max: u32,
    },
    /// No agent has what it requires.
    NoCapableAgent {
        /// How many agents there are that it is not pinned away from.
        agents: u64,
        /// What the nearest of them lacks; all that is required when there is none.
        missing: BTreeSet<Name>,
    },
    /// Capable agents that take nothing new.
    AgentsDraining {
        /// How many.
        agents: u64,
    },
    /// Capable agents without a sign of life.
    AgentsOffline {
        /// How many.
        agents: u64,
    },
    /// Capable agents that were given up.
    AgentsFailed {
        /// How many.
        agents: u64,
    },
    /// All capable agents that are here hold as much as they can.
    AgentsBusy {
        /// How many.
        agents: u64,
        /// How many tasks they can hold together.
        slots: u64,
    },
    /// Capable agents have room: they take it as soon as they ask for work and it is its turn.
    AgentsFree {
        /// How many.
        agents: u64,
        /// How many more tasks they can hold together.
        slots: u64,
    },
}

/// All that keeps a ready task waiting: its queue first, then agents.
#[must_use]
pub fn obstacles(waiting: &Waiting<'_>) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if waiting.is_paused {
        found.push(Obstacle::QueuePaused);
    }
    if let Some(max) = waiting.concurrency_limit
        && waiting.working >= u64::from(max)
    {
        found.push(Obstacle::Limit { used: waiting.working, max });
    }
    let counts = Capable::count(waiting);
    if counts.all == 0 {
        found.push(no_capable_agent(waiting));
        return found;
    }
    let mut add = |agents: u64, obstacle: fn(u64) -> Obstacle| {
        if agents > 0 {
            found.push(obstacle(agents));
        }
    };
    add(counts.draining, |agents| Obstacle::AgentsDraining { agents });
    add(counts.offline, |agents| Obstacle::AgentsOffline { agents });
    add(counts.failed, |agents| Obstacle::AgentsFailed { agents });
    if counts.free > 0 {
        found.push(Obstacle::AgentsFree { agents: counts.free, slots: counts.free_slots });
    } else if counts.busy > 0 {
        found.push(Obstacle::AgentsBusy { agents: counts.busy, slots: counts.busy_slots });
    }
    found
}

/// The agents that may take the task, by how they stand.
#[derive(Default)]
struct Capable {
    all: u64,
    draining: u64,
    offline: u64,
    failed: u64,
    busy: u64,
    busy_slots: u64,
    free: u64,
    free_slots: u64,
}

impl Capable {
    fn count(waiting: &Waiting<'_>) -> Self {
        let mut counts = Self::default();
        for (agent, held) in waiting.agents {
            if !waiting.spec.is_covered_by(agent.tenant, agent.id, &agent.asked.capabilities) {
                continue;
            }
            counts.all += 1;
            let capacity = u64::from(agent.asked.capacity);
            match AgentState::of(agent.is_draining, agent.health, *held) {
                AgentState::Draining => counts.draining += 1,
                AgentState::Offline => counts.offline += 1,
                AgentState::Failed => counts.failed += 1,
                AgentState::Idle | AgentState::Working | AgentState::Stalled if *held >= capacity => {
                    counts.busy += 1;
                    counts.busy_slots += capacity;
                }
                AgentState::Idle | AgentState::Working | AgentState::Stalled => {
                    counts.free += 1;
                    counts.free_slots += capacity - held;
                }
            }
        }
        counts
    }
}

fn no_capable_agent(waiting: &Waiting<'_>) -> Obstacle {
    let spec = waiting.spec;
    let eligible = waiting.agents.iter().filter(|(agent, _)| {
        agent.tenant == spec.tenant && spec.pinned.is_none_or(|pinned| pinned == agent.id)
    });
    let lacks =
        eligible.map(|(agent, _)| spec.requires.difference(&agent.asked.capabilities).cloned().collect());
    let lacks: Vec<BTreeSet<Name>> = lacks.collect();
    Obstacle::NoCapableAgent {
        agents: u64::try_from(lacks.len()).unwrap_or(u64::MAX),
        missing: lacks.into_iter().min_by_key(BTreeSet::len).unwrap_or_else(|| spec.requires.clone()),
    }
}

#[cfg(test)]
mod tests {
    use domain::{AgentId, Health, Link, NewAgent, TenantId, Timestamp};

    use super::*;

    fn names(words: &[&str]) -> BTreeSet<Name> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    fn agent(id: i64, capabilities: &[&str], capacity: u32) -> Agent {
        Agent {
            id: AgentId::from_raw(id),
            tenant: TenantId::DEFAULT,
            asked: NewAgent {
                name: format!("agent-{id}").parse().unwrap(),
                role: "worker".parse().unwrap(),
                capabilities: names(capabilities),
                capacity,
                labels: Default::default(),
                link: Link::Worker,
            },
            is_draining: false,
            health: Health::Active,
            created_at: Timestamp::ZERO,
        }
    }

    fn told(requires: &[&str], pinned: Option<i64>, agents: &[(Agent, u64)]) -> Vec<Obstacle> {
        let spec = LaneSpec {
            tenant: TenantId::DEFAULT,
            queue: "default".parse().unwrap(),
            requires: names(requires),
            pinned: pinned.map(AgentId::from_raw),
        };
        obstacles(&Waiting { spec: &spec, is_paused: false, concurrency_limit: None, working: 0, agents })
    }

    #[test]
    fn what_is_missing_is_told_of_the_nearest_agent() {
        let agents = [(agent(1, &["rust"], 1), 0), (agent(2, &["python", "gpu"], 1), 0)];
        let missing = |words: &[&str], agents| Obstacle::NoCapableAgent { agents, missing: names(words) };
        assert_eq!(told(&["gpu", "python", "rust"], None, &agents), [missing(&["rust"], 2)]);
        assert_eq!(told(&["gpu", "python", "rust"], Some(1), &agents), [missing(&["gpu", "python"], 1)]);
        assert_eq!(told(&["gpu"], None, &[]), [missing(&["gpu"], 0)]);
        assert_eq!(told(&[], Some(9), &agents), [missing(&[], 0)], "the one it is pinned to is gone");
    }

    #[test]
    fn capable_agents_are_counted_by_how_they_stand_and_others_not_at_all() {
        let draining = Agent { is_draining: true, ..agent(1, &["a"], 5) };
        let offline = Agent { health: Health::Offline, ..agent(2, &["a"], 5) };
        let failed = Agent { health: Health::Failed, ..agent(3, &["a"], 5) };
        let (busy, other) = (agent(4, &["a"], 3), agent(5, &[], 9));
        let mut agents = vec![(draining, 0), (offline, 0), (failed, 0), (busy, 3), (other, 0)];
        let expected = [
            Obstacle::AgentsDraining { agents: 1 },
            Obstacle::AgentsOffline { agents: 1 },
            Obstacle::AgentsFailed { agents: 1 },
            Obstacle::AgentsBusy { agents: 1, slots: 3 },
        ];
        assert_eq!(told(&["a"], None, &agents), expected);
        agents.push((Agent { health: Health::Stalled, ..agent(6, &["a", "b"], 4) }, 1));
        assert_eq!(told(&["a"], None, &agents)[3], Obstacle::AgentsFree { agents: 1, slots: 3 });
    }

    #[test]
    fn a_paused_queue_and_one_at_its_limit_are_told_beside_the_agents() {
        let (agents, free) = ([(agent(1, &[], 1), 0)], Obstacle::AgentsFree { agents: 1, slots: 1 });
        let spec = LaneSpec {
            tenant: TenantId::DEFAULT,
            queue: "default".parse().unwrap(),
            requires: names(&[]),
            pinned: None,
        };
        let waiting =
            Waiting { spec: &spec, is_paused: true, concurrency_limit: Some(2), working: 2, agents: &agents };
        let limit = Obstacle::Limit { used: 2, max: 2 };
        assert_eq!(obstacles(&waiting), [Obstacle::QueuePaused, limit, free.clone()]);
        assert_eq!(obstacles(&Waiting { is_paused: false, working: 1, ..waiting }), [free]);
    }
}
