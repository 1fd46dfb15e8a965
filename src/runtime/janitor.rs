//! Janitors: idempotent chores on a timer, each an actor, all safe to run twice and to miss a turn.
//!
//! Started by the janitor supervisor, permanent, restarted without memory. While the hive starts or drains, they rest.

pub(crate) mod agent_sweeper;
pub(crate) mod checkpoint_saver;
pub(crate) mod performance_saver;
pub(crate) mod restart_recorder;
pub(crate) mod sweeper;

use supervision::ActorRef;
use tokio::sync::oneshot;

use crate::coordinator::{Apply, Coordinator};
use crate::error::Error;

pub use agent_sweeper::AgentSweeper;
pub use checkpoint_saver::CheckpointSaver;
pub use performance_saver::PerformanceSaver;
pub use restart_recorder::RestartRecorder;
pub use sweeper::{Duty, Sweeper};

/// Time to look.
pub struct Tick;

impl actix::Message for Tick {
    type Result = ();
}

/// Sends a write through the coordinator and waits for its commit.
pub(crate) async fn apply<C: store::command::Write>(
    coordinator: ActorRef<Coordinator>,
    command: C,
) -> Result<C::Answer, Error> {
    let (reply, answer) = oneshot::channel();
    coordinator.tell(Apply { command, reply, is_for_caller: false })?;
    answer.await.unwrap_or(Err(Error::Overloaded))
}
