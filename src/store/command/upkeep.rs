//! What the hive writes about itself.

use std::sync::Arc;

use domain::{EventKind, Timestamp};

use crate::record::PerformanceRecord;

/// Writes an event that is about the hive itself.
#[derive(Debug, Clone)]
pub struct RecordSystemEvent {
    /// What happened.
    pub kind: EventKind,
    /// More, as a JSON object of at most 512 bytes.
    pub data: Arc<str>,
}

/// Stores the projection as it stood at `seq`, in place of the one before.
#[derive(Debug, Clone)]
pub struct SaveCheckpoint {
    /// The last event that is folded into it.
    pub seq: i64,
    /// The projection, as the feed serializes it.
    pub projection: Arc<[u8]>,
}

/// Stores what a node did, each row in place of the one with its key.
#[derive(Debug, Clone)]
pub struct SavePerformance {
    /// The rows.
    pub rows: Vec<PerformanceRecord>,
    /// For a span in seconds: its rows from before this moment are removed.
    pub forget: Vec<(u32, Timestamp)>,
}
