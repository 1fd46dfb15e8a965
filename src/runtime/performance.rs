//! What this node did, counted where it happens: requests by the web threads, tasks by the coordinator. The janitor of
//! the same name stores it minute by minute and hour by hour; `series` shows it over a range of time.
//!
//! Invariant: what was counted is in memory or in the store, and in each answer once. A hive that is killed loses the
//! counts of its last minute and nothing else: they are figures, not work.

mod series;
mod slice;

use std::time::Duration;

use domain::Timestamp;
use parking_lot::Mutex;
use store::record::PerformanceRecord;

pub use series::{Figures, PerformanceSeries, Quantiles};
pub(crate) use series::{begin, resolution, series};
pub(crate) use slice::{HOUR_S, MINUTE_S, Slice, floor};

/// Slices that wait for a store that does not answer: an hour of minutes. Beyond, the oldest are dropped.
const UNSAVED_MAX: usize = 60;

/// See the module. One a process.
#[derive(Debug)]
pub struct Performance(Mutex<Counting>);

#[derive(Debug)]
struct Counting {
    /// The minute that is being counted.
    minute: Slice,
    /// The finished minutes of the hour.
    hour: Slice,
    /// Whether the hour has minutes that the store does not have.
    is_hour_due: bool,
    /// Whether the hour was handed out to be stored, and is not known to be.
    is_hour_out: bool,
    /// Finished, and not known to be stored.
    unsaved: Vec<Slice>,
}

impl Performance {
    /// Nothing yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Counting {
            minute: Slice::new(MINUTE_S, now),
            hour: Slice::new(HOUR_S, now),
            is_hour_due: false,
            is_hour_out: false,
            unsaved: Vec::new(),
        }))
    }

    /// A request was answered. `took` is `None` for one that waits on purpose.
    pub fn answered(&self, at: Timestamp, took: Option<Duration>, is_error: bool) {
        self.count(at, |slice| {
            slice.counts.requests += 1;
            slice.counts.errors += u64::from(is_error);
            if let Some(took) = took {
                slice.request.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            }
        });
    }

    /// Counts into the minute of `at`; what comes late goes into the minute that is being counted.
    pub(crate) fn count(&self, at: Timestamp, with: impl FnOnce(&mut Slice)) {
        let mut counting = self.0.lock();
        counting.roll(at);
        with(&mut counting.minute);
    }

    /// What is to be stored now; with `everything`, also the minute that is being counted.
    pub(crate) fn due(&self, now: Timestamp, node: u16, everything: bool) -> Vec<PerformanceRecord> {
        let mut counting = self.0.lock();
        counting.roll(now);
        if everything {
            counting.end_minute(now);
        }
        let hour = counting.is_hour_due.then_some(&counting.hour);
        let rows = counting.unsaved.iter().chain(hour).map(|slice| slice.record(node)).collect();
        // Minutes that end from here on make it due again.
        counting.is_hour_out |= std::mem::take(&mut counting.is_hour_due);
        rows
    }

    /// These rows are stored. What has grown since it was handed out stays due.
    pub(crate) fn saved(&self, rows: &[PerformanceRecord]) {
        let mut counting = self.0.lock();
        counting.is_hour_out = false;
        let is_stored = |slice: &Slice| rows.iter().any(|row| *row == slice.record(row.node));
        counting.unsaved.retain(|slice| !is_stored(slice));
    }

    /// What was due could not be stored; it is due again.
    pub(crate) fn not_saved(&self) {
        let mut counting = self.0.lock();
        counting.is_hour_due |= std::mem::take(&mut counting.is_hour_out);
    }

    /// What the store does not have, or does not have in full, by spans of `span_s` seconds.
    pub(crate) fn in_memory(&self, now: Timestamp, span_s: u32) -> Vec<Slice> {
        let mut counting = self.0.lock();
        counting.roll(now);
        let mut slices: Vec<_> =
            counting.unsaved.iter().filter(|slice| slice.span_s == span_s).cloned().collect();
        if span_s == MINUTE_S {
            slices.push(counting.minute.clone());
        } else {
            let mut hour = counting.hour.clone();
            hour.merge(&counting.minute);
            slices.push(hour);
        }
        slices
    }
}

impl Counting {
    /// Ends the minute and the hour that are over at `now`.
    fn roll(&mut self, now: Timestamp) {
        let minute = floor(now, MINUTE_S);
        if minute <= self.minute.since {
            return;
        }
        self.end_minute(minute);
        let hour = floor(now, HOUR_S);
        if hour > self.hour.since {
            let over = std::mem::replace(&mut self.hour, Slice::new(HOUR_S, hour));
            let (is_due, is_out) =
                (std::mem::take(&mut self.is_hour_due), std::mem::take(&mut self.is_hour_out));
            if is_due || is_out {
                self.keep(over);
            }
        }
    }

    /// The next minute, or the rest of this one, begins at `next`.
    fn end_minute(&mut self, next: Timestamp) {
        if self.minute.is_empty() {
            self.minute.since = next;
            return;
        }
        let over = std::mem::replace(&mut self.minute, Slice::new(MINUTE_S, next));
        self.hour.merge(&over);
        self.is_hour_due = true;
        self.keep(over);
    }

    fn keep(&mut self, slice: Slice) {
        if self.unsaved.len() >= UNSAVED_MAX {
            tracing::warn!("the store does not answer; the oldest figures are dropped");
            self.unsaved.remove(0);
        }
        self.unsaved.push(slice);
    }
}

#[cfg(test)]
#[path = "performance_tests.rs"]
mod tests;
