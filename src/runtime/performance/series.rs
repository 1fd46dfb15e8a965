//! What the hive did over a range of time, step by step.

use domain::Timestamp;
use store::record::PerformanceCounts;

use super::slice::{HOUR_S, MINUTE_S, Micros, Slice, floor};

/// Most steps of an answer, beside the one that has begun.
const STEPS_MAX: u32 = 120;
/// Lengths of a step in seconds, with the spans that it is made of.
const STEPS: [(u32, u32); 6] = [
    (60, MINUTE_S),
    (300, MINUTE_S),
    (900, MINUTE_S),
    (HOUR_S, HOUR_S),
    (2 * HOUR_S, HOUR_S),
    (6 * HOUR_S, HOUR_S),
];

/// How long things took, in microseconds, each to 1 %; `None` where there was nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50_us: Option<u64>,
    /// 95 of 100 took at most this long.
    pub p95_us: Option<u64>,
    /// 99 of 100 took at most this long.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

impl Quantiles {
    fn of(micros: &Micros) -> Self {
        let Some(histogram) = micros.get().filter(|histogram| !histogram.is_empty()) else {
            return Self::default();
        };
        let at = |quantile| Some(histogram.value_at_quantile(quantile).min(histogram.max()));
        Self {
            count: histogram.len(),
            p50_us: at(0.5),
            p95_us: at(0.95),
            p99_us: at(0.99),
            max_us: Some(histogram.max()),
        }
    }
}

/// What happened within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// When it begins.
    pub at: Timestamp,
    /// How much of it has passed, in milliseconds; at least 1.
    pub length_ms: u64,
    /// How often.
    pub counts: PerformanceCounts,
    /// How long requests took, those that wait on purpose left out.
    pub request: Quantiles,
    /// How long tasks were ready before an attempt began.
    pub wait: Quantiles,
    /// How long attempts ran.
    pub run: Quantiles,
}

impl Figures {
    fn of(slice: &Slice, until: Timestamp) -> Self {
        Self {
            at: slice.since,
            length_ms: until.ms_since(slice.since).max(1),
            counts: slice.counts,
            request: Quantiles::of(&slice.request),
            wait: Quantiles::of(&slice.wait),
            run: Quantiles::of(&slice.run),
        }
    }
}

/// What happened over a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformanceSeries {
    /// When it ends: now.
    pub to: Timestamp,
    /// Length of a step, in seconds.
    pub step_s: u32,
    /// All of it together.
    pub total: Figures,
    /// Every step, the oldest first; the last one has only begun. At most 121.
    pub steps: Vec<Figures>,
}

/// The length of a step for a range of `range_s` seconds, and the span that it is made of, both in seconds.
pub(crate) fn resolution(range_s: u32) -> (u32, u32) {
    let fits = |(step_s, _): &(u32, u32)| range_s.div_ceil(*step_s) <= STEPS_MAX;
    STEPS.into_iter().find(fits).unwrap_or((6 * HOUR_S, HOUR_S))
}

/// Adds slices up, step by step. Slices from before the range are left out.
pub(crate) fn series(range_s: u32, now: Timestamp, slices: &[Slice]) -> PerformanceSeries {
    let (step_s, _) = resolution(range_s);
    let from = begin(range_s, now);
    let mut total = Slice::new(step_s, from);
    let mut sums: Vec<Slice> = Vec::new();
    let mut at = from;
    while at <= now {
        sums.push(Slice::new(step_s, at));
        at = at.plus_ms(u64::from(step_s) * 1_000);
    }
    for slice in slices.iter().filter(|slice| slice.since >= from) {
        let place = slice.since.ms_since(from) / (u64::from(step_s) * 1_000);
        // A clock that went back leaves slices in the future; they belong to the last step.
        let place = usize::try_from(place).unwrap_or(usize::MAX).min(sums.len().saturating_sub(1));
        if let Some(sum) = sums.get_mut(place) {
            sum.merge(slice);
        }
        total.merge(slice);
    }
    let until = |slice: &Slice| slice.since.plus_ms(u64::from(step_s) * 1_000).min(now);
    PerformanceSeries {
        to: now,
        step_s,
        total: Figures::of(&total, now),
        steps: sums.iter().map(|sum| Figures::of(sum, until(sum))).collect(),
    }
}

/// Where a range of `range_s` seconds before `now` begins: with the step that this moment lies in.
pub(crate) fn begin(range_s: u32, now: Timestamp) -> Timestamp {
    floor(now.minus_ms(u64::from(range_s) * 1_000), resolution(range_s).0)
}
