//! What the hive says to a worker.

use domain::{AgentId, TaskId, TaskState, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ReportKind;
use crate::ProblemDetails;
use crate::lease::AssignmentView;

/// A frame of the hive: its body and what every frame has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HiveFrame {
    /// By `type`.
    #[serde(flatten)]
    pub body: HiveSays,
    /// When it was made.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// Of the frame it answers, or of the connection.
    pub correlation_id: String,
}

impl HiveFrame {
    /// As it leaves.
    ///
    /// # Errors
    /// Never for what the hive stores; what the serializer says.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// What the hive says to a worker.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HiveSays {
    /// Always the first frame.
    SessionEstablished(Established),
    /// Work to begin with, each item taking up one of the worker's slots; or what the worker's earlier session was given.
    Assignments(Assignments),
    /// The answers to one report, item by item in its order.
    Ack(Ack),
    /// Attempts that should end.
    Cancel(Cancel),
    /// The answer to `ping`.
    Pong(Nothing),
    /// A frame was refused as a whole.
    Error(WorkerError),
    /// The connection is about to be closed.
    DisconnectNotice(Notice),
}

impl HiveSays {
    /// The word in `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SessionEstablished(_) => "session_established",
            Self::Assignments(_) => "assignments",
            Self::Ack(_) => "ack",
            Self::Cancel(_) => "cancel",
            Self::Pong(_) => "pong",
            Self::Error(_) => "error",
            Self::DisconnectNotice(_) => "disconnect_notice",
        }
    }
}

/// About the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Established {
    /// Its id, as operators see it.
    pub session_id: String,
    /// Whose assignments come.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::AgentIdText)]
    pub agent_id: AgentId,
    /// Which process of the agent it is: as it named itself, or as the hive calls it. With this name in the address, a later
    /// session takes up what this one was given.
    pub worker_instance: String,
    /// The hive's clock.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub server_time: Timestamp,
    /// What the session may do.
    pub limits: SessionLimits,
}

/// The numbers of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionLimits {
    /// Items of a report at most.
    pub items_max: usize,
    /// Slots that may be open at most.
    pub slots_max: u32,
    /// Bytes of a message of the worker at most.
    pub message_bytes_max: usize,
    /// How soon an assignment must be named in a report, in milliseconds.
    pub sign_of_life_ms: u64,
}

/// Assignments.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Assignments {
    /// At least one.
    #[schema(min_items = 1, max_items = 256)]
    pub items: Vec<AssignmentView>,
    /// Whether an earlier session of the same `worker_instance` was given them; then they take up no slot, and only those
    /// that were not named in a report yet have to be, within `sign_of_life_ms`.
    pub resumed: bool,
}

/// Answers to a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ack {
    /// What was reported.
    pub of: ReportKind,
    /// One answer an item, in its order.
    #[schema(min_items = 1, max_items = 256)]
    pub items: Vec<AckItem>,
}

/// The answer to one item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AckItem {
    /// Which task, as it was named; null where that could not be read.
    pub task_id: Option<String>,
    /// Which attempt, as it was named; null where that could not be read.
    pub attempt: Option<u32>,
    /// The HTTP status that the single call would have had.
    pub status: u16,
    /// Of `heartbeat`: the stored expiry of the lease.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_expires_at: Option<Timestamp>,
    /// Of `heartbeat`: whether the attempt should end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested: Option<bool>,
    /// Of `output`: how much of this attempt is stored, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// Of `output`: whether something was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Of `complete` and `fail`: where the task stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::schemas::TaskStateText>)]
    pub state: Option<TaskState>,
    /// What went wrong, unless `status` is 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemDetails>,
}

/// Attempts that should end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancel {
    /// At least one.
    #[schema(min_items = 1, max_items = 256)]
    pub items: Vec<CancelItem>,
}

/// An attempt that should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelItem {
    /// Which task.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::TaskIdText)]
    pub task_id: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Why.
    pub reason: CancelReason,
}

/// Why an attempt should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Somebody asked for it: end soon, and report how it ended.
    CancelRequested,
    /// It does not hold the task any more (its lease or its time ran out, or it was ended by force): drop it; no report counts.
    Lost,
}

/// Nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nothing {}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerError {
    /// The code word.
    pub code: WorkerErrorCode,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Why a frame was refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerErrorCode {
    /// The message is too large; larger results go over `POST /api/v2/tasks/{id}/complete`.
    MessageTooLarge,
    /// Nobody knows this type.
    UnknownMessageType,
    /// It is not JSON as it should be.
    InvalidJson,
    /// A field is missing or against the rules.
    InvalidValue,
}

impl WorkerErrorCode {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageTooLarge => "message_too_large",
            Self::UnknownMessageType => "unknown_message_type",
            Self::InvalidJson => "invalid_json",
            Self::InvalidValue => "invalid_value",
        }
    }
}

/// Why the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// The word of the close code.
    pub reason: String,
}
