//! The counts of one span of time, and their form in the store.

use domain::Timestamp;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use store::record::{PerformanceCounts, PerformanceRecord};

/// Seconds of the short span: shown for a day.
pub(crate) const MINUTE_S: u32 = 60;
/// Seconds of the long span: shown for a month.
pub(crate) const HOUR_S: u32 = 3_600;
/// Significant digits of a histogram: each value is known to 1 %.
const DIGITS: u8 = 2;

/// Microseconds, each kept to 1 %.
#[derive(Debug, Clone, Default)]
pub(crate) struct Micros(Option<Histogram<u32>>);

impl Micros {
    /// Counts one; takes memory with the first one, 2 to 16 KiB.
    pub(crate) fn record(&mut self, micros: u64) {
        // The digits are within what the library allows, and the histogram grows, so neither fails.
        let Some(histogram) = self.open() else { return };
        let _ = histogram.record(micros.min(MICROS_MAX));
    }

    fn open(&mut self) -> Option<&mut Histogram<u32>> {
        if self.0.is_none() {
            self.0 = Histogram::new(DIGITS).ok();
        }
        self.0.as_mut()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let Some(other) = &other.0 else { return };
        if let Some(histogram) = self.open() {
            let _ = histogram.add(other);
        }
    }

    /// The histogram, once something was counted.
    pub(crate) const fn get(&self) -> Option<&Histogram<u32>> {
        self.0.as_ref()
    }

    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(histogram) = &self.0
            && let Err(error) = V2Serializer::new().serialize(histogram, &mut bytes)
        {
            tracing::warn!(?error, "a histogram cannot be encoded; its row has the counts alone");
            bytes.clear();
        }
        bytes
    }

    fn decoded(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        match Deserializer::new().deserialize(&mut &*bytes) {
            Ok(histogram) => Self(Some(histogram)),
            Err(error) => {
                tracing::warn!(?error, "a stored histogram is not one; its times are left out");
                Self::default()
            }
        }
    }
}

/// A longer time counts as this one, 40 days.
const MICROS_MAX: u64 = 40 * 86_400 * 1_000_000;

/// What happened from `since` on within one span.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) span_s: u32,
    pub(crate) since: Timestamp,
    pub(crate) counts: PerformanceCounts,
    /// How long requests took.
    pub(crate) request: Micros,
    /// How long tasks were ready before an attempt began.
    pub(crate) wait: Micros,
    /// How long attempts ran.
    pub(crate) run: Micros,
}

impl Slice {
    pub(crate) fn new(span_s: u32, since: Timestamp) -> Self {
        let (request, wait, run) = Default::default();
        Self { span_s, since, counts: PerformanceCounts::default(), request, wait, run }
    }

    pub(crate) const fn key(&self) -> (u32, Timestamp) {
        (self.span_s, self.since)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts == PerformanceCounts::default() && self.wait.0.is_none() && self.run.0.is_none()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let (here, there) = (&mut self.counts, &other.counts);
        here.requests += there.requests;
        here.errors += there.errors;
        here.submitted += there.submitted;
        here.started += there.started;
        here.completed += there.completed;
        here.retried += there.retried;
        here.failed += there.failed;
        self.request.merge(&other.request);
        self.wait.merge(&other.wait);
        self.run.merge(&other.run);
    }

    pub(crate) fn record(&self, node: u16) -> PerformanceRecord {
        PerformanceRecord {
            span_s: self.span_s,
            since: self.since,
            node,
            counts: self.counts,
            request_us: self.request.encoded().into(),
            wait_us: self.wait.encoded().into(),
            run_us: self.run.encoded().into(),
        }
    }
}

impl From<&PerformanceRecord> for Slice {
    fn from(record: &PerformanceRecord) -> Self {
        Self {
            span_s: record.span_s,
            since: record.since,
            counts: record.counts,
            request: Micros::decoded(&record.request_us),
            wait: Micros::decoded(&record.wait_us),
            run: Micros::decoded(&record.run_us),
        }
    }
}

/// The beginning of the span of `span_s` seconds, counted from the Unix epoch, that `at` lies in.
pub(crate) fn floor(at: Timestamp, span_s: u32) -> Timestamp {
    let span_us = i64::from(span_s) * 1_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(span_us) * span_us)
}
