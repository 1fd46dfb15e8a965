//! What the routes beside the WebSocket answer.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/dashboard/websocket/limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveLimitsView {
    /// Messages of a client per second, on the long run.
    pub rate_limit_tokens_per_second: u32,
    /// Messages of a client at once, after a pause.
    pub rate_limit_burst_capacity: u32,
    /// Seconds between two errors about the rate.
    pub rate_limit_notify_cooldown_seconds: u64,
    /// Bytes of a message of a client.
    pub max_inbound_message_bytes: usize,
    /// Subscriptions of a connection.
    pub max_subscriptions_per_connection: usize,
    /// Wake-ups in a row that a session may fail to take before it is told, or closed.
    pub backpressure_disconnect_threshold: u32,
    /// Seconds without a sign of life before a connection is closed.
    pub idle_disconnect_seconds: u64,
    /// Always true.
    pub ws_auth_required: bool,
    /// Whether pages of other origins are allowed by name.
    pub ws_allowed_origins_configured: bool,
    /// The version of the contract.
    pub contract_version: String,
    /// All versions that are understood.
    pub supported_versions: Vec<String>,
    /// When this was answered.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
}

/// `GET /api/dashboard/websocket/contract`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContractView {
    /// The version that is spoken.
    pub current_version: String,
    /// All versions that are understood.
    pub supported_versions: Vec<String>,
    /// What becomes of older ones.
    pub deprecation_policy: DeprecationView,
    /// When this was answered.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
}

/// What becomes of older versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeprecationView {
    /// The rule.
    pub policy: String,
    /// What is about to go.
    pub notice: String,
}

/// `GET /api/dashboard/websocket/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveStatsView {
    /// The connections.
    pub websocket_stats: ConnectionsView,
    /// Where to connect.
    pub endpoints: Vec<String>,
    /// What to subscribe to.
    pub subscription_types: Vec<String>,
    /// When this was answered.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_updated: Timestamp,
}

/// The connections of this hive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ConnectionsView {
    /// Open now.
    pub total_connections: usize,
    /// By endpoint.
    pub connections_by_type: BTreeMap<String, usize>,
    /// Subscriptions by topic.
    pub subscription_counts: BTreeMap<String, usize>,
    /// Up to 100 of them, the oldest first.
    pub active_connections: Vec<ConnectionView>,
    /// When the oldest of them came; null where there is none.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_connection: Option<Timestamp>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionView {
    /// Its id.
    pub connection_id: String,
    /// Where it connected.
    pub endpoint: String,
    /// Who is signed in.
    pub principal: String,
    /// What it is subscribed to, sorted.
    pub subscriptions: Vec<String>,
    /// When it came.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub connected_at: Timestamp,
}

/// `GET /api/dashboard/websocket/health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveHealthView {
    /// `healthy`, or `degraded` when a hub does not run.
    pub websocket_manager: String,
    /// Connections, and how many of them do not take what they get.
    pub connection_stats: ConnectionHealthView,
    /// `not_configured`: this hive needs no Redis.
    pub redis_connectivity: String,
    /// All together.
    pub overall_health: ScoreView,
}

/// How the connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionHealthView {
    /// Open now.
    pub total_connections: usize,
    /// Those whose client has taken nothing for a second, although there is something for it.
    pub blocked_connections: usize,
    /// Hubs that run, one a web thread.
    pub hubs: usize,
}

/// A number and a word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreView {
    /// 0 to 100: the share of connections that take what there is for them; at most 50 where a hub does not run.
    pub score: f64,
    /// `healthy` from 90 on, `degraded` from 50 on, else `unhealthy`.
    pub status: String,
}

/// `POST /api/dashboard/websocket/broadcast`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BroadcastView {
    /// The topic.
    pub subscription: String,
    /// The type of the frame.
    pub message_type: String,
    /// Sessions that it was handed to.
    pub sessions: usize,
}

/// `POST /api/dashboard/websocket/disconnect/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisconnectedView {
    /// Which connection.
    pub connection_id: String,
    /// Whether it is being closed.
    pub disconnected: bool,
}
