//! What the clients of a run count together.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::report::Latency;

/// Time before it counts.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// The longest latency that is told apart from longer ones, in microseconds.
const LATENCY_MAX_MICROS: u64 = 600_000_000;

/// See the module. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Tally(Rc<RefCell<Counted>>);

#[derive(Debug)]
struct Counted {
    begin: Instant,
    end: Instant,
    /// Acknowledged while counting.
    count: u64,
    /// Refused while counting.
    refused: u64,
    /// Acknowledged in all.
    all: u64,
    /// In microseconds, while counting.
    latency: Histogram<u64>,
    /// When the first and the last one were counted, in any case.
    first_at: Option<Instant>,
    last_at: Option<Instant>,
}

impl Counted {
    fn saw(&mut self, units: u64, now: Instant) {
        self.all += units;
        self.first_at = self.first_at.or(Some(now));
        self.last_at = Some(now);
    }
}

impl Tally {
    /// Counts what ends within `time` from a moment on.
    pub fn from(begin: Instant, time: Duration) -> Result<Self> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, 3)?;
        let counted = Counted {
            begin,
            end: begin + time,
            count: 0,
            refused: 0,
            all: 0,
            latency,
            first_at: None,
            last_at: None,
        };
        Ok(Self(Rc::new(RefCell::new(counted))))
    }

    /// When counting begins.
    pub fn begin(&self) -> Instant {
        self.0.borrow().begin
    }

    /// When it ends.
    pub fn end(&self) -> Instant {
        self.0.borrow().end
    }

    /// Something that was asked for, or due, at a moment is done now, and brought so many units.
    pub fn add(&self, since: Instant, units: u64) {
        let now = Instant::now();
        let mut counted = self.0.borrow_mut();
        counted.saw(units, now);
        if now >= counted.begin && now < counted.end {
            counted.count += units;
            let micros = u64::try_from(now.duration_since(since).as_micros()).unwrap_or(u64::MAX);
            counted.latency.saturating_record(micros);
        }
    }

    /// Something that was due at a moment within the time is done now, whenever that is: for arrivals that do not wait.
    pub fn add_due(&self, due: Instant, units: u64) {
        let now = Instant::now();
        let mut counted = self.0.borrow_mut();
        counted.saw(units, now);
        if due >= counted.begin && due < counted.end {
            counted.count += units;
            let micros = u64::try_from(now.saturating_duration_since(due).as_micros()).unwrap_or(u64::MAX);
            counted.latency.saturating_record(micros);
        }
    }

    /// Something was refused.
    pub fn refuse(&self) {
        self.0.borrow_mut().refused += 1;
    }

    /// Acknowledged while counting.
    pub fn count(&self) -> u64 {
        self.0.borrow().count
    }

    /// Refused.
    pub fn refused(&self) -> u64 {
        self.0.borrow().refused
    }

    /// Acknowledged, also in the warm-up and behind the end.
    pub fn all(&self) -> u64 {
        self.0.borrow().all
    }

    /// When the first and the last one were counted, also in the warm-up and behind the end.
    pub fn first_and_last(&self) -> Option<(Instant, Instant)> {
        let counted = self.0.borrow();
        counted.first_at.zip(counted.last_at)
    }

    /// Forgets what it has counted, and counts from now on.
    pub fn clear(&self) {
        let mut counted = self.0.borrow_mut();
        (counted.count, counted.refused, counted.all) = (0, 0, 0);
        (counted.first_at, counted.last_at) = (None, None);
        counted.latency.reset();
        counted.begin = Instant::now();
    }

    /// Latencies, as they are reported.
    pub fn latency(&self) -> Latency {
        Latency::of(&self.0.borrow().latency)
    }
}
