//! What readers ask, each inside one read transaction.

pub(crate) mod agents;
pub(crate) mod census;
pub(crate) mod events;
pub(crate) mod listing;
pub(crate) mod performance;
pub(crate) mod state;
pub(crate) mod tasks;

use std::collections::HashMap;
use std::sync::Arc;

use crate::sql::conn::Conn;
use domain::{LaneId, LaneSpec};
use parking_lot::RwLock;

use crate::quarantine::Quarantine;
use crate::sql::failure::Failure;
use crate::sql::lanes;

/// Lanes that readers have met. They never change, so what is known stays true.
#[derive(Debug, Default)]
pub(crate) struct KnownLanes(RwLock<HashMap<LaneId, Arc<LaneSpec>>>);

/// A reader's open transaction.
pub(crate) struct Session<'a> {
    /// The connection.
    pub conn: &'a mut Conn,
    /// What all readers know of lanes.
    pub lanes: &'a KnownLanes,
    /// Tasks that cannot be understood.
    pub quarantine: &'a Quarantine,
}

impl Session<'_> {
    /// What a lane stands for.
    pub(crate) fn lane(&mut self, id: LaneId) -> Result<Arc<LaneSpec>, Failure> {
        if let Some(known) = self.lanes.0.read().get(&id) {
            return Ok(Arc::clone(known));
        }
        let (_, spec) = lanes::one(self.conn, id)?;
        self.lanes.0.write().insert(id, Arc::clone(&spec));
        Ok(spec)
    }
}
