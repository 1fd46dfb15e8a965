//! Which session speaks for which process of an agent.
//!
//! Invariant: at most one at a time; the newest.

use std::collections::HashMap;
use std::sync::Arc;

use domain::AgentId;
use parking_lot::Mutex;
use protocol::live::limits::Ending;

use crate::state::Hive;

/// A process of an agent.
type Instance = (AgentId, Arc<str>);

/// The sessions of this process of the hive, by whom they speak for.
#[derive(Default)]
pub(crate) struct Roll(Mutex<HashMap<Instance, Arc<str>>>);

/// An entry, until it is dropped.
pub(crate) struct Enrolled {
    hive: Hive,
    instance: Instance,
    session: Arc<str>,
}

impl Roll {
    /// Enters a session; one that spoke for the same process is told to end.
    pub(crate) fn enter(hive: &Hive, agent: AgentId, instance: &Arc<str>, session: &Arc<str>) -> Enrolled {
        let instance = (agent, Arc::clone(instance));
        let older = hive.live.workers.0.lock().insert(instance.clone(), Arc::clone(session));
        if let Some(older) = older {
            hive.live.close(&older, Ending::Superseded);
        }
        Enrolled { hive: hive.clone(), instance, session: Arc::clone(session) }
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        let mut sessions = self.hive.live.workers.0.lock();
        if sessions.get(&self.instance).is_some_and(|session| *session == self.session) {
            sessions.remove(&self.instance);
        }
    }
}
