//! Why a ready task waits, from what the store and the projection say at this moment.

use domain::{Agent, LaneSpec};
use scheduling::{Obstacle, Waiting, obstacles};
use store::error::ReadError;
use store::record::TaskRecord;

use super::RuntimeHandle;

/// Most tasks that are counted ahead of one.
pub const AHEAD_MAX: u32 = 10_000;

/// What keeps a ready task waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// All of it, its queue first.
    pub obstacles: Vec<Obstacle>,
    /// How many ready tasks of its lane are taken before it; counted up to [`AHEAD_MAX`]. Other lanes may want the same
    /// agents.
    pub ahead: u32,
    /// How many tasks wait in its queue.
    pub waiting: u64,
}

impl RuntimeHandle {
    /// What keeps `task`, which is ready, waiting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn wait_of(&self, task: &TaskRecord) -> Result<Wait, ReadError> {
        self.settled().await;
        let readers = &self.shared.readers;
        let stored = readers.queues(task.tenant).await?.into_iter().find(|queue| queue.name == task.queue);
        let agents = readers.agents(task.tenant).await?;
        let ahead = readers.ahead(task.lane, task.priority, task.id, AHEAD_MAX).await?;
        let (agents, figures) = self.shared.feed.read(|projection| {
            let holding = |agent: Agent| {
                let held = projection.agent(agent.id).working;
                (agent, held)
            };
            let agents: Vec<(Agent, u64)> = agents.into_iter().map(holding).collect();
            (agents, projection.queue(task.tenant, &task.queue))
        });
        let spec = LaneSpec {
            tenant: task.tenant,
            queue: task.queue.clone(),
            requires: task.requires.clone(),
            pinned: task.pinned,
        };
        let obstacles = obstacles(&Waiting {
            spec: &spec,
            is_paused: stored.as_ref().is_some_and(|queue| queue.is_paused),
            concurrency_limit: stored.and_then(|queue| queue.concurrency_limit),
            working: figures.counts.working,
            agents: &agents,
        });
        Ok(Wait { obstacles, ahead, waiting: figures.counts.waiting() })
    }
}
