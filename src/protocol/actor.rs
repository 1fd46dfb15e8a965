//! The live tree of actors, as it is shown.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /system/actors`: who lives, how it fares, what failed lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorsView {
    /// The actors, by path.
    pub items: Vec<ActorView>,
    /// How many actors there are, shown or not.
    pub total: u64,
    /// Restarts since the start, those of actors that are gone included.
    pub restarts_total: u64,
    /// The arbiters that a watchdog watches.
    pub arbiters: Vec<ArbiterView>,
    /// The last failures, newest first, at most 256.
    pub recent_failures: Vec<FailureView>,
}

/// One actor at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorView {
    /// Its place in the tree, like `hive/agents/agent_…`.
    pub path: String,
    /// What kind of actor.
    pub kind: String,
    /// What it is doing.
    #[schema(pattern = "^(starting|running|restarting|stopping|stopped|failed|stalled)$")]
    pub state: String,
    /// The arbiter it lives on; null for a thread.
    pub arbiter: Option<String>,
    /// How often it was built, from 1; 0 before it has begun.
    pub incarnation: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// How many messages wait.
    pub mailbox_depth: u64,
    /// How many may; 0 for what has no mailbox.
    pub mailbox_capacity: u64,
    /// The last thing that went wrong.
    pub last_error: Option<ActorErrorView>,
}

/// What went wrong with an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorErrorView {
    /// What the panic or the error said.
    pub text: String,
    /// When.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// An arbiter: a thread on which actors live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArbiterView {
    /// Its name.
    pub name: String,
    /// Whether it misses its answer to the watchdog now.
    pub stalled: bool,
    /// How often it did.
    pub stalls: u64,
}

/// A failure and what followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// Who failed.
    pub path: String,
    /// What kind of actor.
    pub kind: String,
    /// Which incarnation.
    pub incarnation: u64,
    /// What the panic or error said.
    pub text: String,
    /// When.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What its supervisor did.
    #[schema(pattern = "^(restarted|ended|given_up|escalated)$")]
    pub consequence: String,
}
