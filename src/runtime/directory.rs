//! Where each agent's actor is found. Written by the coordinator, read by everybody.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Agent, AgentId};
use parking_lot::RwLock;
use supervision::ActorRef;

use crate::agent::AgentActor;
use crate::board::Pulse;

/// An agent with its actor.
#[derive(Debug, Clone)]
pub struct Seat {
    /// As it was last read from the store.
    pub agent: Arc<Agent>,
    /// Its actor.
    pub actor: ActorRef<AgentActor>,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
}

/// All agents of this process.
#[derive(Debug, Default)]
pub struct Directory {
    seats: RwLock<HashMap<AgentId, Seat>>,
}

impl Directory {
    /// The seat of one agent.
    #[must_use]
    pub fn seat(&self, agent: AgentId) -> Option<Seat> {
        self.seats.read().get(&agent).cloned()
    }

    /// All seats, in no order.
    #[must_use]
    pub fn seats(&self) -> Vec<Seat> {
        self.seats.read().values().cloned().collect()
    }

    /// Gives an agent a seat, or renews what is known of it.
    pub fn put(&self, seat: Seat) {
        self.seats.write().insert(seat.agent.id, seat);
    }

    /// Takes a seat away.
    pub fn remove(&self, agent: AgentId) -> Option<Seat> {
        self.seats.write().remove(&agent)
    }
}
