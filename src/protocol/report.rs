//! What a holder reports of its attempt, and the bulk calls that answer item by item.

use std::sync::Arc;

use domain::{Limits, Report, Review, TaskState, Timestamp, Usage, Violations, json, limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::figures::{ErrorView, UsageView};
use crate::{ProblemDetails, Request, object, whole};

/// Largest whole number that every reader of JSON takes for itself, 2^53 - 1.
const EXACT_MAX: u64 = (1 << 53) - 1;
const ATTEMPT_RULE: &str = "is required: the number of the attempt that the assignment named, from 1";

/// `POST /tasks/{id}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"attempt": 1, "progress": 0.4, "message": "page 4 of 10"})))]
#[serde(deny_unknown_fields, default)]
pub struct HeartbeatRequest {
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
    /// What the attempt has cost so far. The last one counts when the report at the end says nothing of it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub usage: Option<UsageView>,
}

/// What a [`HeartbeatRequest`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct HeartbeatAsked {
    /// Which attempt.
    pub attempt: u32,
    /// How far it is, 0 to 1.
    pub progress: Option<f64>,
    /// A few words for people.
    pub message: Option<String>,
    /// What it has cost so far.
    pub usage: Option<Usage>,
}

impl Request for HeartbeatRequest {
    type Asked = HeartbeatAsked;

    fn check(self, _: &Limits) -> Result<HeartbeatAsked, Violations> {
        let mut review = Review::new();
        review.require(self.attempt > 0, "attempt", ATTEMPT_RULE);
        let in_range = self.progress.is_none_or(|fraction| (0.0..=1.0).contains(&fraction));
        review.require(in_range, "progress", "must be from 0 to 1");
        let is_short = self.message.as_ref().is_none_or(|message| {
            message.chars().count() <= limits::PROGRESS_MESSAGE_CHARS_MAX && !message.contains('\0')
        });
        review.require(is_short, "message", "must be at most 256 characters without U+0000");
        let usage = self.usage.and_then(|usage| usage.check(&mut review, "usage"));
        let (attempt, progress, message) = (self.attempt, self.progress, self.message);
        review.finish().map(|()| HeartbeatAsked { attempt, progress, message, usage })
    }
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatAnswer {
    /// The stored expiry of the lease.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: Timestamp,
    /// Whether the holder should end its attempt.
    pub cancel_requested: bool,
}

/// `POST /tasks/{id}/output`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"attempt": 1, "text": "reading page 4\n"})))]
#[serde(deny_unknown_fields, default)]
pub struct OutputRequest {
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    #[schema(required = true, minimum = 1)]
    pub attempt: u32,
    /// The text, 1 byte to 64 KiB.
    #[schema(required = true, min_length = 1, max_length = 65_536)]
    pub text: String,
    /// Makes it safe to send again: the `stored_bytes` of the answer before this one, 0 for the first. Where more is
    /// stored, this text was stored before, and nothing is written.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::option")]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    pub after_bytes: Option<u64>,
}

/// What an [`OutputRequest`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputAsked {
    /// Which attempt.
    pub attempt: u32,
    /// The text.
    pub text: Arc<str>,
    /// How much its sender knows to be stored, in bytes.
    pub after_bytes: Option<u64>,
}

impl Request for OutputRequest {
    type Asked = OutputAsked;

    fn check(self, _: &Limits) -> Result<OutputAsked, Violations> {
        let mut review = Review::new();
        review.require(self.attempt > 0, "attempt", ATTEMPT_RULE);
        let fits = (1..=limits::OUTPUT_CHUNK_BYTES_MAX).contains(&self.text.len());
        review.require(fits && !self.text.contains('\0'), "text", "must be 1 to 65536 bytes without U+0000");
        let Self { attempt, text, after_bytes } = self;
        let is_exact = after_bytes.is_none_or(|bytes| bytes <= EXACT_MAX);
        review.require(is_exact, "after_bytes", "must be at most 9007199254740991");
        review.finish().map(|()| OutputAsked { attempt, text: Arc::from(text), after_bytes })
    }
}

/// Answer to output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputAnswer {
    /// How much output of this attempt is stored, in bytes.
    pub stored_bytes: u64,
    /// Whether something was cut.
    pub truncated: bool,
}

/// What a holder reports at the end of its attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportAsked {
    /// Which attempt.
    pub attempt: u32,
    /// How it ended.
    pub report: Report,
}

/// `POST /tasks/{id}/complete`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"attempt": 1, "result": {"words": 812}, "usage": {"input_tokens": 1204, "cost_usd": 0.01}})))]
#[serde(deny_unknown_fields, default)]
pub struct CompleteRequest {
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    #[schema(required = true, minimum = 1)]
    pub attempt: u32,
    /// Any JSON, kept byte for byte: at most 1 MiB, 64 levels, no U+0000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// What it cost.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub usage: Option<UsageView>,
}

impl Request for CompleteRequest {
    type Asked = ReportAsked;

    fn check(self, limits: &Limits) -> Result<ReportAsked, Violations> {
        let mut review = Review::new();
        review.require(self.attempt > 0, "attempt", ATTEMPT_RULE);
        let result = check_result(&mut review, self.result, limits);
        let usage = self.usage.and_then(|usage| usage.check(&mut review, "usage"));
        let report = Report::Succeeded { result, usage };
        review.finish().map(|()| ReportAsked { attempt: self.attempt, report })
    }
}

/// `POST /tasks/{id}/fail`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"attempt": 1, "error": {"kind": "rate_limited", "message": "the model is busy"}, "retryable": true})))]
#[serde(deny_unknown_fields, default)]
pub struct FailRequest {
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    #[schema(required = true, minimum = 1)]
    pub attempt: u32,
    /// Why.
    #[serde(deserialize_with = "object::read")]
    #[schema(required = true)]
    pub error: ErrorView,
    /// Whether trying again may help; true when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// What it cost all the same.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub usage: Option<UsageView>,
}

impl Request for FailRequest {
    type Asked = ReportAsked;

    fn check(self, _: &Limits) -> Result<ReportAsked, Violations> {
        let mut review = Review::new();
        review.require(self.attempt > 0, "attempt", ATTEMPT_RULE);
        let error = self.error.check(&mut review, "error");
        let usage = self.usage.and_then(|usage| usage.check(&mut review, "usage"));
        let report = Report::Failed { error, retryable: self.retryable.unwrap_or(true), usage };
        review.finish().map(|()| ReportAsked { attempt: self.attempt, report })
    }
}

/// `POST /leases/complete`: up to 1,000 reports, each with its own answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"items": [{"task_id": "task_04hmasw9nf6yf", "attempt": 1, "result": {"words": 812}}]})))]
#[serde(deny_unknown_fields, default)]
pub struct FinishMany {
    /// The reports.
    #[serde(deserialize_with = "object::list")]
    #[schema(required = true, min_items = 1, max_items = 1000)]
    pub items: Vec<FinishItem>,
}

/// One report of [`FinishMany`]: a failure when `error` is there, otherwise a success.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FinishItem {
    /// Which task.
    #[schema(required = true)]
    pub task_id: String,
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    #[schema(required = true, minimum = 1)]
    pub attempt: u32,
    /// As in `complete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// As in `fail`; excludes `result`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub error: Option<ErrorView>,
    /// As in `fail`; only beside `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// What it cost.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub usage: Option<UsageView>,
}

impl Request for FinishMany {
    type Asked = Vec<FinishItem>;

    fn check(self, _: &Limits) -> Result<Vec<FinishItem>, Violations> {
        check_count(&self.items, "items").map(|()| self.items)
    }
}

impl Request for FinishItem {
    type Asked = ReportAsked;

    fn check(self, limits: &Limits) -> Result<ReportAsked, Violations> {
        let mut review = Review::new();
        review.require(self.attempt > 0, "attempt", ATTEMPT_RULE);
        review.require(
            self.error.is_none() || self.result.is_none(),
            "result",
            "cannot stand beside error: name one of them",
        );
        review.require(
            self.error.is_some() || self.retryable.is_none(),
            "retryable",
            "only stands beside error",
        );
        let usage = self.usage.and_then(|usage| usage.check(&mut review, "usage"));
        let report = match self.error {
            Some(error) => Report::Failed {
                error: error.check(&mut review, "error"),
                retryable: self.retryable.unwrap_or(true),
                usage,
            },
            None => Report::Succeeded { result: check_result(&mut review, self.result, limits), usage },
        };
        review.finish().map(|()| ReportAsked { attempt: self.attempt, report })
    }
}

/// Answer to the end of one attempt. A repeat of the same report answers the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FinishAnswer {
    /// Where the task stands now.
    #[schema(value_type = crate::schemas::TaskStateText)]
    pub state: TaskState,
}

/// Answer to one item of [`FinishMany`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FinishedItem {
    /// Which task, as it was named.
    pub task_id: String,
    /// Which attempt.
    #[serde(deserialize_with = "whole::read")]
    pub attempt: u32,
    /// The HTTP status that the single call would have had.
    pub status: u16,
    /// Where the task stands now, when `status` is 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::schemas::TaskStateText>)]
    pub state: Option<TaskState>,
    /// What went wrong otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemDetails>,
}

fn check_result(review: &mut Review, result: Option<Box<RawValue>>, limits: &Limits) -> Option<String> {
    let result = String::from(Box::<str>::from(result?));
    let bytes_max = limits.result_bytes_max;
    review.require(result.len() <= bytes_max, "result", &format!("must be at most {bytes_max} bytes"));
    if let Err(unfit) = json::check(&result) {
        review.note("result", unfit.to_string());
    }
    Some(result)
}

pub(crate) fn check_count<T>(items: &[T], field: &str) -> Result<(), Violations> {
    if (1..=limits::BULK_ITEMS_MAX).contains(&items.len()) {
        Ok(())
    } else {
        Err(Violations::one(field, "must hold 1 to 1000 items"))
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
