//! The port that a database implements to be the hive's store.

use std::sync::Arc;

use domain::{Event, LaneId, LaneSpec};

use crate::command::Command;
use crate::error::WriteError;
use crate::outcome::Outcome;

/// What one transaction left behind, once it is durable.
#[derive(Debug, Default)]
pub struct Committed {
    /// One a command, in the order of the batch.
    pub outcomes: Vec<Result<Outcome, WriteError>>,
    /// The new events, in `seq` order and without a gap to those before.
    pub events: Vec<Event>,
    /// Lanes that this batch interned; announced before the events that name them.
    pub new_lanes: Vec<(LaneId, Arc<LaneSpec>)>,
}

/// Why a whole batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Nothing was applied, since others were in the way for too long, or every statement took too long; the writer can go on.
    #[error("the batch was not applied: {0}")]
    Busy(String),
    /// Nothing was applied or its fate is unknown; the writer must be opened anew.
    #[error("the batch was not applied: {0}")]
    Unavailable(String),
    /// The disk did not confirm a sync: what it holds is unknown, and the process must end.
    #[error("the disk did not confirm a sync: {0}")]
    SyncFailed(String),
}

/// Applies batches of commands, each in one durable transaction.
///
/// Invariant: when `apply` returns `Ok`, everything it tells of is on disk. A command that fails by itself gets its
/// own error and the others are applied. A busy database is retried inside.
pub trait BatchWriter {
    /// Applies all commands in order, in one transaction.
    ///
    /// # Errors
    /// [`BatchError`] when nothing was applied or nobody knows.
    fn apply(&mut self, batch: &[Command]) -> Result<Committed, BatchError>;

    /// Between batches, while nobody waits: what the database needs to stay small.
    fn tidy(&mut self);
}
