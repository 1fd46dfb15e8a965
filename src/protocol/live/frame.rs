//! What the hive sends. Events have their own way ([`super::event_frame`]), since they are written once for everybody.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::totals::{AgentTotals, CoordinationTotals, Snapshot, SystemTotals, TaskTotals};

/// A frame: its body and what every frame has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// By `type`.
    #[serde(flatten)]
    pub body: Body,
    /// When it was made; of an event, when it was committed.
    #[serde(with = "crate::time")]
    pub timestamp: Timestamp,
    /// Of the frame it answers, of the request that caused the event, or of the connection.
    pub correlation_id: String,
}

impl Frame {
    /// As it leaves.
    #[must_use]
    pub fn text(&self) -> String {
        // Structs of texts and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A subscription, a place and totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update<T> {
    /// The topic.
    pub subscription: String,
    /// Measured, exact at the offset.
    pub data: T,
    /// Names the log.
    pub epoch: String,
    /// Whoever gets this has everything of its subscriptions up to here.
    pub offset: i64,
}

/// A subscription, a place and one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The topic as a whole.
    pub subscription: String,
    /// The event, as `GET /api/v2/events` shows it.
    pub data: Value,
    /// Names the log.
    pub epoch: String,
    /// The event's `seq`.
    pub offset: i64,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the fields are those of the contract, which the schema describes one by one"
)]
pub enum Body {
    /// Always the first frame.
    ConnectionEstablished {
        connection_id: String,
        subscriptions: Vec<String>,
        #[serde(with = "crate::time")]
        server_time: Timestamp,
        contract_version: String,
        epoch: String,
        offset: i64,
    },
    /// The state at an offset; the stream goes on behind it.
    DashboardInitialized {
        subscriptions: Vec<String>,
        connection_info: ConnectionFacts,
        snapshot: Box<Snapshot>,
        epoch: String,
        offset: i64,
    },
    /// What is subscribed to now, sorted.
    SubscriptionUpdated {
        subscriptions: Vec<String>,
    },
    AgentUpdate(Update<AgentTotals>),
    CoordinationUpdate(Update<CoordinationTotals>),
    TaskUpdate(Update<TaskTotals>),
    SystemUpdate(Update<SystemTotals>),
    AgentEvent(Told),
    TaskEvent(Told),
    CoordinationEvent(Told),
    SystemEvent(Told),
    ProjectIndexEvent(Told),
    /// Something that somebody must look at.
    CriticalAlert {
        subscription: String,
        data: Alerts,
    },
    /// Said by an operator to everybody who is subscribed to a topic; not a fact of the log.
    OperatorMessage {
        subscription: String,
        message_type: String,
        data: Value,
    },
    /// The answer to `request_data`.
    DataResponse {
        data_type: String,
        data: Value,
    },
    /// The refusal of `request_data`.
    DataError {
        data_type: String,
        error: String,
    },
    /// How a resume went.
    Resumed {
        recovered: bool,
        from: i64,
        to: i64,
    },
    /// Events from and to these, both included, were not sent; a snapshot follows.
    EventsSkipped {
        from: i64,
        to: i64,
    },
    /// The answer to `ping`.
    Pong {},
    /// Something was refused.
    Error {
        message: String,
        code: ErrorCode,
        data: ErrorText,
    },
    /// The connection is about to be closed.
    DisconnectNotice {
        reason: String,
    },
}

/// About the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFacts {
    /// Its id.
    pub connection_id: String,
    /// `dashboard`, `agents`, `coordination`, `tasks` or `system`.
    pub endpoint: String,
    /// Who is signed in.
    pub principal: String,
    /// With which role.
    pub role: String,
}

/// Alerts that were raised together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// At least one.
    pub alerts: Vec<AlertView>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// `critical` while it lasts, `resolved` when it is over.
    pub level: String,
    /// What is the matter.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The message is too large.
    MessageTooLarge,
    /// More messages than there may be; what came on top is dropped.
    RateLimited,
    /// More subscriptions than there may be.
    TooManySubscriptions,
    /// There are no such topics.
    InvalidSubscription,
    /// The role may not see these topics.
    ForbiddenSubscription,
    /// Nobody knows this type.
    UnknownMessageType,
    /// It is not JSON as it should be.
    InvalidJson,
}

impl ErrorCode {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageTooLarge => "message_too_large",
            Self::RateLimited => "rate_limited",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::InvalidSubscription => "invalid_subscription",
            Self::ForbiddenSubscription => "forbidden_subscription",
            Self::UnknownMessageType => "unknown_message_type",
            Self::InvalidJson => "invalid_json",
        }
    }
}

/// The same text again, where clients of contract 1.0.0 look for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorText {
    /// The text.
    pub message: String,
}

impl Body {
    /// The word in `type` of each of them.
    pub const KINDS: [&str; 21] = [
        "connection_established",
        "dashboard_initialized",
        "subscription_updated",
        "agent_update",
        "coordination_update",
        "task_update",
        "system_update",
        "agent_event",
        "task_event",
        "coordination_event",
        "system_event",
        "project_index_event",
        "critical_alert",
        "operator_message",
        "data_response",
        "data_error",
        "resumed",
        "events_skipped",
        "pong",
        "error",
        "disconnect_notice",
    ];

    /// A refusal.
    #[must_use]
    pub fn error(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Error { data: ErrorText { message: message.clone() }, message, code }
    }

    /// The word in `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConnectionEstablished { .. } => "connection_established",
            Self::DashboardInitialized { .. } => "dashboard_initialized",
            Self::SubscriptionUpdated { .. } => "subscription_updated",
            Self::AgentUpdate(_) => "agent_update",
            Self::CoordinationUpdate(_) => "coordination_update",
            Self::TaskUpdate(_) => "task_update",
            Self::SystemUpdate(_) => "system_update",
            Self::AgentEvent(_) => "agent_event",
            Self::TaskEvent(_) => "task_event",
            Self::CoordinationEvent(_) => "coordination_event",
            Self::SystemEvent(_) => "system_event",
            Self::ProjectIndexEvent(_) => "project_index_event",
            Self::CriticalAlert { .. } => "critical_alert",
            Self::OperatorMessage { .. } => "operator_message",
            Self::DataResponse { .. } => "data_response",
            Self::DataError { .. } => "data_error",
            Self::Resumed { .. } => "resumed",
            Self::EventsSkipped { .. } => "events_skipped",
            Self::Pong {} => "pong",
            Self::Error { .. } => "error",
            Self::DisconnectNotice { .. } => "disconnect_notice",
        }
    }
}
