//! Who gets how many slots: a pure decision over counts, never over tasks.
//!
//! ```text
//!   lanes (what waits, by priority) + agents (free slots) --plan--> claims (lane, priority, agent, count)
//! ```
//!
//! Invariant: a plan never takes more than waits in a lane or than its queue has room for, never gives an agent more
//! than its free slots, and never gives it a lane it does not cover.
//!
//! Invariant: strict priority. No slot goes to a task while a more urgent one waits that the same agent could take, but
//! in a queue at its limit.
//!
//! Invariant: work conserving. After a plan nothing waits that an agent with a free slot could take, but in queues at
//! their limit.
//!
//! Invariant: fair between queues. Among queues whose tasks of one priority the same agents can take, the shares differ
//! by at most one while all of them have tasks left. Where the shares begin turns from plan to plan.
//!
//! Agents that can take little go first, so that a generalist stays free for what only it can take.
//!
//! Reading order: [`problem`], [`mod@plan`], [`mod@obstacles`].

pub mod obstacles;
pub mod plan;
pub mod problem;

pub use obstacles::{Obstacle, Waiting, obstacles};
pub use plan::{pick, plan};
pub use problem::{AgentSlots, Claim, IdMap, IdSet, LaneQueue, Problem};
