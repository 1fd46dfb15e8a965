//! The small figures of a task: backoff, timeouts, usage, error; the same in requests and views.

use domain::{AttemptError, Backoff, Review, Timeouts, Usage, attempt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::whole;

/// How long a failed task waits: `initial_ms * factor^(failures - 1)`, at most `max_ms`, plus or minus `jitter`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackoffView {
    /// Wait after the first failure, in milliseconds, at most 7 days.
    #[serde(deserialize_with = "whole::read")]
    #[schema(maximum = 604_800_000)]
    pub initial_ms: u64,
    /// Growth from failure to failure, 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    pub factor: f64,
    /// Longest wait before jitter, in milliseconds, at most 7 days.
    #[serde(deserialize_with = "whole::read")]
    #[schema(maximum = 604_800_000)]
    pub max_ms: u64,
    /// Share of the wait by which it may be shorter or longer, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub jitter: f64,
}

impl Default for BackoffView {
    fn default() -> Self {
        Backoff::default().into()
    }
}

impl From<Backoff> for BackoffView {
    fn from(backoff: Backoff) -> Self {
        let Backoff { initial_ms, factor, max_ms, jitter } = backoff;
        Self { initial_ms, factor, max_ms, jitter }
    }
}

impl From<BackoffView> for Backoff {
    fn from(view: BackoffView) -> Self {
        let BackoffView { initial_ms, factor, max_ms, jitter } = view;
        Self { initial_ms, factor, max_ms, jitter }
    }
}

/// How long a task may take, each in milliseconds; what is missing has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsView {
    /// From ready to claimed; then it fails.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    pub schedule_to_start_ms: Option<u64>,
    /// From claim to end of one attempt.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    pub start_to_close_ms: Option<u64>,
    /// Between two heartbeats, at least 1000; takes the place of the hive's lease.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 2_592_000_000_u64)]
    pub heartbeat_ms: Option<u64>,
    /// From submit (or redrive) to the end of the last attempt.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    pub schedule_to_close_ms: Option<u64>,
}

impl From<Timeouts> for TimeoutsView {
    fn from(timeouts: Timeouts) -> Self {
        let Timeouts { schedule_to_start_ms, start_to_close_ms, heartbeat_ms, schedule_to_close_ms } =
            timeouts;
        Self { schedule_to_start_ms, start_to_close_ms, heartbeat_ms, schedule_to_close_ms }
    }
}

impl From<TimeoutsView> for Timeouts {
    fn from(view: TimeoutsView) -> Self {
        let TimeoutsView { schedule_to_start_ms, start_to_close_ms, heartbeat_ms, schedule_to_close_ms } =
            view;
        Self { schedule_to_start_ms, start_to_close_ms, heartbeat_ms, schedule_to_close_ms }
    }
}

/// What an attempt cost, as far as its holder says.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UsageView {
    /// Tokens read by models.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub input_tokens: Option<u64>,
    /// Tokens written by models.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub output_tokens: Option<u64>,
    /// Money, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub cost_usd: Option<f64>,
    /// Processor time, in milliseconds.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub cpu_ms: Option<u64>,
    /// Highest resident memory, in bytes.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub peak_rss_bytes: Option<u64>,
}

/// Highest count in a usage: every whole number up to here is exact in JSON.
const COUNT_MAX: u64 = (1 << 53) - 1;

impl UsageView {
    /// The domain's form, or `None` when nothing is said; notes counts that JSON cannot hold exactly.
    pub(crate) fn check(self, review: &mut Review, field: &str) -> Option<Usage> {
        let counts = [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("cpu_ms", self.cpu_ms),
            ("peak_rss_bytes", self.peak_rss_bytes),
        ];
        for (name, count) in counts {
            if count.is_some_and(|count| count > COUNT_MAX) {
                review.note(format!("{field}.{name}"), "must be at most 9007199254740991");
            }
        }
        if self.cost_usd.is_some_and(|cost| !cost.is_finite() || cost < 0.0) {
            review.note(format!("{field}.cost_usd"), "must not be negative");
        }
        let UsageView { input_tokens, output_tokens, cost_usd, cpu_ms, peak_rss_bytes } = self;
        let usage = Usage { input_tokens, output_tokens, cost_usd, cpu_ms, peak_rss_bytes };
        (!usage.is_empty()).then_some(usage)
    }
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        let Usage { input_tokens, output_tokens, cost_usd, cpu_ms, peak_rss_bytes } = usage;
        Self { input_tokens, output_tokens, cost_usd, cpu_ms, peak_rss_bytes }
    }
}

/// What went wrong in an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorView {
    /// A short word programs can act on, 1 to 64 characters.
    #[schema(required = true, min_length = 1, max_length = 64)]
    pub kind: String,
    /// A sentence for people, at most 16 KiB.
    #[schema(max_length = 16_384)]
    pub message: String,
}

impl ErrorView {
    /// The domain's form; notes what is too long.
    pub(crate) fn check(self, review: &mut Review, field: &str) -> AttemptError {
        let length = self.kind.chars().count();
        if !(1..=attempt::ERROR_KIND_CHARS_MAX).contains(&length) || self.kind.contains('\0') {
            review.note(format!("{field}.kind"), "must be 1 to 64 characters without U+0000");
        }
        if self.message.len() > attempt::ERROR_MESSAGE_BYTES_MAX || self.message.contains('\0') {
            review.note(format!("{field}.message"), "must be at most 16384 bytes without U+0000");
        }
        AttemptError { kind: self.kind, message: self.message }
    }
}

impl From<AttemptError> for ErrorView {
    fn from(error: AttemptError) -> Self {
        Self { kind: error.kind, message: error.message }
    }
}
