//! What is spoken over a worker's session, `/api/v2/agents/{id}/session`: credit and reports one way, assignments, answers and
//! requests to end the other way.
//!
//! `schemas/worker_messages.schema.json` is made from these types; a test compares the two, and every frame that a test sees
//! is checked against it.
//!
//! Invariant: each item of a report is read, judged and answered by itself; one that is broken does not touch the others.

pub mod frame;

use domain::{Limits, Violations};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::figures::UsageView;
use crate::lease::WORKER_INSTANCE_CHARS_MAX;
use crate::query::{Pairs, Params};
use crate::report::{HeartbeatAsked, HeartbeatRequest, OutputAsked, OutputRequest};
use crate::{Request, Unreadable, object, whole};

pub use frame::{
    Ack, AckItem, Assignments, Cancel, CancelItem, CancelReason, Established, HiveFrame, HiveSays, Nothing,
    Notice, SessionLimits, WorkerError, WorkerErrorCode,
};

/// The JSON Schema of all frames.
pub const SCHEMA: &str = include_str!("../../schemas/worker_messages.schema.json");
/// Items of a report at most, and of a frame of assignments.
pub const ITEMS_MAX: usize = 256;
/// Slots of a worker that may be open at a time.
pub const SLOTS_MAX: u32 = 1_000;
/// Within so many milliseconds after an assignment was sent, the worker has to name it in a report; otherwise it goes back,
/// uncharged.
pub const SIGN_OF_LIFE_MS: u64 = 5_000;
/// Reports that are answered at a time; further frames are not read until one of them is.
pub const REPORTS_MAX: u64 = 16;
/// Bytes of a message beyond the largest result: everything else in it.
pub const ENVELOPE_BYTES: usize = 256 << 10;

const CORRELATION_ID_CHARS_MAX: usize = 128;

/// What a session is opened with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Which process of the agent it speaks for.
    pub worker_instance: Option<String>,
}

impl SessionQuery {
    /// From the parameters of the address: `worker_instance`, and `access_token`, which is somebody else's to read.
    ///
    /// # Errors
    /// [`Unreadable`], with every broken rule.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let worker_instance = params.with("worker_instance", |text| {
            let is_fit = (1..=WORKER_INSTANCE_CHARS_MAX).contains(&text.chars().count());
            if is_fit && !text.contains('\0') {
                Ok(text.to_owned())
            } else {
                Err("must be 1 to 128 characters without U+0000")
            }
        });
        params.with("access_token", |_| Ok::<(), &str>(()));
        params.finish().map(|()| Self { worker_instance })
    }
}

/// A frame of a worker, with what it wants back in the answer.
#[derive(Debug)]
pub struct WorkerFrame {
    /// Comes back in the answer.
    pub correlation_id: Option<String>,
    /// What it says.
    pub said: WorkerSays,
}

/// What a worker says.
#[derive(Debug)]
pub enum WorkerSays {
    /// Whether the hive is there.
    Ping,
    /// It has so many more free slots; 0 takes back those that are open.
    Ready(u32),
    /// Reports about attempts, each still as it was written.
    Report(ReportKind, Vec<Box<RawValue>>),
}

/// What sort of report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// A sign of life.
    Heartbeat,
    /// A piece of output.
    Output,
    /// Success.
    Complete,
    /// Failure.
    Fail,
}

impl ReportKind {
    /// The word in `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Output => "output",
            Self::Complete => "complete",
            Self::Fail => "fail",
        }
    }
}

/// Why a frame is refused as a whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WorkerRefused {
    /// The code word.
    pub code: WorkerErrorCode,
    /// What is wrong.
    pub message: String,
    /// The correlation id, where it could be read.
    pub correlation_id: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: Option<Value>,
    correlation_id: Option<Value>,
    slots: Option<Value>,
    items: Option<Vec<Box<RawValue>>>,
}

impl WorkerFrame {
    /// Reads a frame. Fields that it does not know are let through: a newer worker may send them. Items are not read yet.
    ///
    /// # Errors
    /// [`WorkerRefused`].
    pub fn read(text: &str) -> Result<Self, WorkerRefused> {
        let refused = |code, message: &str, correlation_id: &Option<String>| WorkerRefused {
            code,
            message: message.to_owned(),
            correlation_id: correlation_id.clone(),
        };
        let malformed =
            |id: &Option<String>| refused(WorkerErrorCode::InvalidJson, "Invalid JSON message format", id);
        // serde would also read an array as a struct.
        if !text.trim_start().starts_with('{') {
            return Err(malformed(&None));
        }
        let raw: Raw = serde_json::from_str(text).map_err(|_| malformed(&None))?;
        let id = match raw.correlation_id {
            Some(Value::String(id)) => {
                Some(id).filter(|id| !id.is_empty() && id.chars().count() <= CORRELATION_ID_CHARS_MAX)
            }
            None | Some(Value::Null) => None,
            Some(_) => return Err(malformed(&None)),
        };
        let Some(Value::String(kind)) = raw.kind else { return Err(malformed(&id)) };
        let kind = match kind.as_str() {
            "ping" => return Ok(Self { correlation_id: id, said: WorkerSays::Ping }),
            "ready" => {
                let slots = raw.slots.as_ref().and_then(Value::as_u64);
                let slots =
                    slots.and_then(|slots| u32::try_from(slots).ok()).filter(|slots| *slots <= SLOTS_MAX);
                let rule = "slots is required: how many more assignments the worker takes, 0 to 1000";
                let slots = slots.ok_or_else(|| refused(WorkerErrorCode::InvalidValue, rule, &id))?;
                return Ok(Self { correlation_id: id, said: WorkerSays::Ready(slots) });
            }
            "heartbeat" => ReportKind::Heartbeat,
            "output" => ReportKind::Output,
            "complete" => ReportKind::Complete,
            "fail" => ReportKind::Fail,
            other => {
                let name: String = other.chars().take(64).collect();
                let message = format!("Unknown message type: {name}");
                return Err(refused(WorkerErrorCode::UnknownMessageType, &message, &id));
            }
        };
        let items = raw.items.filter(|items| (1..=ITEMS_MAX).contains(&items.len()));
        let rule = "items is required: a list of 1 to 256 reports";
        let items = items.ok_or_else(|| refused(WorkerErrorCode::InvalidValue, rule, &id))?;
        Ok(Self { correlation_id: id, said: WorkerSays::Report(kind, items) })
    }
}

/// One item of `heartbeat`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeartbeatItem {
    /// Which task.
    #[schema(required = true)]
    pub task_id: String,
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    #[schema(required = true, minimum = 1)]
    pub attempt: u32,
    /// How far it is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub progress: Option<f64>,
    /// A few words for people, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub message: Option<String>,
    /// What the attempt has cost so far.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub usage: Option<UsageView>,
}

impl Request for HeartbeatItem {
    type Asked = (String, HeartbeatAsked);

    fn check(self, limits: &Limits) -> Result<Self::Asked, Violations> {
        let Self { task_id, attempt, progress, message, usage } = self;
        let asked = HeartbeatRequest { attempt, progress, message, usage }.check(limits)?;
        Ok((task_id, asked))
    }
}

/// One item of `output`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputItem {
    /// Which task.
    #[schema(required = true)]
    pub task_id: String,
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    #[schema(required = true, minimum = 1)]
    pub attempt: u32,
    /// The text, 1 byte to 64 KiB.
    #[schema(required = true, min_length = 1, max_length = 65_536)]
    pub text: String,
    /// Makes it safe to send again: the `stored_bytes` of the answer before this one, 0 for the first.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::option")]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    pub after_bytes: Option<u64>,
}

impl Request for OutputItem {
    type Asked = (String, OutputAsked);

    fn check(self, limits: &Limits) -> Result<Self::Asked, Violations> {
        let Self { task_id, attempt, text, after_bytes } = self;
        let asked = OutputRequest { attempt, text, after_bytes }.check(limits)?;
        Ok((task_id, asked))
    }
}

/// What a worker sends, for the schema.
#[derive(serde::Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = WorkerFrame)]
#[expect(
    dead_code,
    reason = "frames are read in two steps, see `WorkerFrame::read`; this says what they look like"
)]
pub(crate) enum WorkerSent {
    /// Whether the hive is there.
    Ping {
        /// Comes back in the answer.
        correlation_id: Option<String>,
    },
    /// So many more free slots; 0 takes back those that are open.
    Ready {
        /// How many.
        #[schema(minimum = 0, maximum = 1000)]
        slots: u32,
        correlation_id: Option<String>,
    },
    /// Signs of life.
    Heartbeat {
        #[schema(min_items = 1, max_items = 256)]
        items: Vec<HeartbeatItem>,
        correlation_id: Option<String>,
    },
    /// Pieces of output.
    Output {
        #[schema(min_items = 1, max_items = 256)]
        items: Vec<OutputItem>,
        correlation_id: Option<String>,
    },
    /// Successes.
    Complete {
        #[schema(min_items = 1, max_items = 256)]
        items: Vec<crate::report::FinishItem>,
        correlation_id: Option<String>,
    },
    /// Failures; each item has an `error`.
    Fail {
        #[schema(min_items = 1, max_items = 256)]
        items: Vec<crate::report::FinishItem>,
        correlation_id: Option<String>,
    },
}

#[cfg(test)]
#[path = "worker_session_tests.rs"]
mod tests;
