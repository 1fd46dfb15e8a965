//! `GET /tasks/{id}/explain`: why a task is where it is, each reason with its numbers.

use domain::{AgentId, TaskState, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a task stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainView {
    /// Where it stands.
    #[schema(value_type = crate::schemas::TaskStateText)]
    pub state: TaskState,
    /// Why; at least one, the one that matters most first.
    #[schema(min_items = 1)]
    pub reasons: Vec<ReasonView>,
}

/// One reason. Which numbers stand beside `code` and `message` depends on the code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    /// `delayed` (until), `backoff` (until, failures, attempts_max), `queue_paused` (queue, waiting), `limit` (name,
    /// queue, used, max), `no_capable_agent` (agents, missing), `agents_draining`, `agents_offline`, `agents_failed`
    /// (agents), `agents_busy` and `agents_free` (agents, slots, position), `working` (agent_id, attempt, since, until),
    /// `cancel_requested` (agent_id, attempt, until), `completed` (attempt, since), `failed` (error_kind, failures,
    /// crashes, attempts_max, since), `canceled` (since). While the hive stops, `hive_draining` stands before the others.
    pub code: String,
    /// The same for people.
    pub message: String,
    /// When it is ready; of a working task, when its lease expires.
    #[serde(default, with = "crate::time::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Since when it is so.
    #[serde(default, with = "crate::time::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// How many attempts count against `attempts_max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// How many attempts were cut off by a crash of the hive, when there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashes: Option<u32>,
    /// How many failures make it a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
    /// Which queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// How many tasks wait in that queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Which limit: `concurrency_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much of the limit is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// The limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// How many agents this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<u64>,
    /// Capabilities that the nearest agent lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// How many tasks those agents can hold (`agents_busy`), or can still take (`agents_free`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u64>,
    /// Its place, from 1, among the ready tasks of its queue that ask for the same (`requires`, `agent_id`), by priority,
    /// then by age; counted up to 10,001, which is that place or a later one. Other tasks may want the same agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Which agent.
    #[serde(default, with = "crate::text::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::schemas::AgentIdText>)]
    pub agent_id: Option<AgentId>,
    /// Which attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// How the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<String>,
}
