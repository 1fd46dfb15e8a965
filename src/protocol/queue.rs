//! Queues, as they are shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::system::StateCountsView;

/// A queue. It comes into being with its first task, or when it is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Whether it hands out nothing.
    pub paused: bool,
    /// Its stored tasks by state.
    pub tasks: StateCountsView,
    /// How many wait ready, by priority from 0 to 9.
    #[schema(value_type = Vec<u64>, min_items = 10, max_items = 10)]
    pub queued_by_priority: [u64; 10],
}
