//! `GET /monitoring/performance`: what the hive did over a range of time.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::query::{Pairs, Params, pairs};
use crate::request::Unreadable;

/// Shortest range, in seconds: 5 minutes.
pub const RANGE_MIN_S: u32 = 300;
/// Longest range, in seconds: 30 days.
pub const RANGE_MAX_S: u32 = 30 * 86_400;
/// Range of a request that names none, in seconds: an hour.
const RANGE_DEFAULT_S: u32 = 3_600;
const BROKEN_RANGE: &str = "must be from 5m to 30d: a whole number with its unit, m, h or d";

/// Parameters of `GET /monitoring/performance`.
#[derive(Debug, Clone, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PerformanceQuery {
    /// How far back, from 5m to 30d: a whole number with its unit, m, h or d. 1h when missing.
    #[param(rename = "range", value_type = Option<String>, pattern = "^(([5-9]|[1-9][0-9]{1,3}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)m|([1-9][0-9]?|[1-6][0-9]{2}|7[01][0-9]|720)h|([1-9]|[12][0-9]|30)d)$", example = "1h")]
    pub range_s: Option<u32>,
}

impl PerformanceQuery {
    /// Reads it.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let read = Self { range_s: params.with("range", read_range) };
        params.finish().map(|()| read)
    }

    /// How far back, in seconds.
    #[must_use]
    pub fn range_s(&self) -> u32 {
        self.range_s.unwrap_or(RANGE_DEFAULT_S)
    }

    /// As it stands in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        pairs([("range", self.range_s.map(|range_s| format!("{}m", range_s / 60)))])
    }
}

fn read_range(text: &str) -> Result<u32, &'static str> {
    let read = || {
        let (digits, unit_s) = match (text.strip_suffix('m'), text.strip_suffix('h'), text.strip_suffix('d'))
        {
            (Some(digits), _, _) => (digits, 60),
            (_, Some(digits), _) => (digits, 3_600),
            (_, _, Some(digits)) => (digits, 86_400),
            _ => return None,
        };
        let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        let range_s = digits.parse::<u32>().ok().filter(|_| is_plain)?.checked_mul(unit_s)?;
        (RANGE_MIN_S..=RANGE_MAX_S).contains(&range_s).then_some(range_s)
    };
    read().ok_or(BROKEN_RANGE)
}

/// What the hive did over a range of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PerformanceView {
    /// When it ends: now.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Length of a step, in seconds: the shortest of 1, 5 and 15 minutes and 1, 2 and 6 hours with which the range is at
    /// most 120 steps.
    #[schema(minimum = 60)]
    pub step_seconds: u32,
    /// The whole range together; it begins with the step that the beginning of the range lies in.
    pub total: PerformanceFigures,
    /// Every step, the oldest first; the last one has only begun.
    #[schema(min_items = 2, max_items = 121)]
    pub steps: Vec<PerformanceFigures>,
}

/// What the hive did within a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PerformanceFigures {
    /// When it begins.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many requests under `/api` were answered.
    pub requests: u64,
    /// How many of them with a status from 500 on.
    pub errors: u64,
    /// Requests a second, over as much of the time as has passed.
    #[schema(minimum = 0)]
    pub requests_per_second: f64,
    /// How long requests took, from the head to the answer; lease calls, which wait on purpose, are left out.
    pub request_ms: SpreadView,
    /// Tasks that were accepted.
    pub submitted: u64,
    /// Attempts that began.
    pub started: u64,
    /// Tasks that were completed.
    pub completed: u64,
    /// Attempts that ended badly and are followed by another one.
    pub retried: u64,
    /// Tasks that became dead letters.
    pub failed: u64,
    /// Tasks completed a second, over as much of the time as has passed.
    #[schema(minimum = 0)]
    pub completed_per_second: f64,
    /// How long tasks were ready before an attempt began.
    pub wait_ms: SpreadView,
    /// How long attempts ran.
    pub run_ms: SpreadView,
}

/// How long things took, in milliseconds, each to 1 %; null where there was nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct SpreadView {
    /// How many were measured.
    pub count: u64,
    /// Half of them took at most this long.
    #[schema(minimum = 0)]
    pub p50: Option<f64>,
    /// 95 of 100 took at most this long.
    #[schema(minimum = 0)]
    pub p95: Option<f64>,
    /// 99 of 100 took at most this long.
    #[schema(minimum = 0)]
    pub p99: Option<f64>,
    /// The longest.
    #[schema(minimum = 0)]
    pub max: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_whole_number_of_minutes_hours_or_days_from_5m_to_30d() {
        for (text, range_s) in
            [("5m", 300), ("90m", 5_400), ("1h", 3_600), ("24h", 86_400), ("30d", 2_592_000)]
        {
            assert_eq!(read_range(text), Ok(range_s));
        }
        for text in [
            "",
            "m",
            "4m",
            "31d",
            "721h",
            "1",
            "1s",
            "01h",
            "+5m",
            "1.5h",
            "1h30m",
            "5M",
            "99999999999d",
            "٥m",
        ] {
            assert_eq!(read_range(text), Err(BROKEN_RANGE), "{text:?}");
        }
    }

    #[test]
    fn a_client_sends_what_the_hive_reads() {
        for range_s in [None, Some(RANGE_MIN_S), Some(86_400), Some(RANGE_MAX_S)] {
            let query = PerformanceQuery { range_s };
            assert_eq!(PerformanceQuery::read(query.pairs()).ok(), Some(query));
        }
    }
}
