//! The interned lanes, in memory: there are at most thousands, they never change and never go.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sql::conn::Conn;
use diesel::prelude::*;
use domain::{AgentId, LaneId, LaneSpec, TenantId};

use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::schema::lanes;
use crate::sql::statement::statement;

/// A lane with its number.
pub(crate) type Lane = (LaneId, Arc<LaneSpec>);

/// All lanes, both ways. The writer's; readers ask the database.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    by_id: HashMap<LaneId, Arc<LaneSpec>>,
    by_spec: HashMap<Arc<LaneSpec>, LaneId>,
}

impl Lanes {
    /// All that is stored.
    pub(crate) fn load(conn: &mut Conn) -> Result<Self, Failure> {
        let mut lanes = Self::default();
        for lane in all(conn)? {
            lanes.add(lane);
        }
        Ok(lanes)
    }

    /// A lane that is stored.
    pub(crate) fn get(&self, id: LaneId) -> Result<&Arc<LaneSpec>, Failure> {
        self.by_id.get(&id).ok_or_else(|| Failure::corrupt(format!("lane {}", id.0), "there is no such lane"))
    }

    /// A lane that may be stored.
    pub(crate) fn find(&self, spec: &LaneSpec) -> Option<Lane> {
        self.by_spec.get_key_value(spec).map(|(spec, id)| (*id, Arc::clone(spec)))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Stores one more and returns it.
    pub(crate) fn intern(&mut self, conn: &mut Conn, spec: LaneSpec) -> Result<Lane, Failure> {
        let highest = self.by_id.keys().map(|id| id.0).max().unwrap_or(0);
        let lane = (LaneId(highest.saturating_add(1)), Arc::new(spec));
        let requires = lane.1.requires_key();
        conn.execute_aside(InsertLane {
            id: lane.0.0,
            tenant: lane.1.tenant.0,
            queue: lane.1.queue.as_str(),
            requires: &requires,
            pinned: lane.1.pinned.map_or(0, AgentId::raw),
        })?;
        self.add(lane.clone());
        Ok(lane)
    }

    /// Forgets lanes whose transaction was rolled back.
    pub(crate) fn forget(&mut self, lanes: &[Lane]) {
        for (id, spec) in lanes {
            self.by_id.remove(id);
            self.by_spec.remove(spec);
        }
    }

    fn add(&mut self, (id, spec): Lane) {
        self.by_spec.insert(Arc::clone(&spec), id);
        self.by_id.insert(id, spec);
    }
}

/// Every stored lane, in the order of their numbers.
pub(crate) fn all(conn: &mut Conn) -> Result<Vec<Lane>, Failure> {
    let rows: Vec<RawLane> = conn.load(lanes::table.order(lanes::id))?;
    rows.into_iter().map(understood).collect()
}

/// One stored lane.
pub(crate) fn one(conn: &mut Conn, id: LaneId) -> Result<Lane, Failure> {
    understood(conn.get_result(lanes::table.find(id.0))?)
}

type RawLane = (i64, i64, String, String, i64);

fn understood((id, tenant, queue, requires, pinned): RawLane) -> Result<Lane, Failure> {
    let spec = LaneSpec {
        tenant: TenantId(tenant),
        queue: columns::name(&queue)?,
        requires: LaneSpec::requires_from_key(&requires),
        pinned: (pinned != 0).then(|| AgentId::from_raw(pinned)),
    };
    Ok((LaneId(id), Arc::new(spec)))
}

statement! {
    /// A new lane.
    InsertLane<'a> { id: i64, tenant: i64, queue: &'a str, requires: &'a str, pinned: i64 } =
    "INSERT INTO lanes (id, tenant_id, queue, requires, pinned_agent_id) VALUES ("; id, ", "; tenant, ", "; queue,
    ", "; requires, ", "; pinned, ")"
}
