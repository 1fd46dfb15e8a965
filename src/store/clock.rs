//! What time it is for the store: the wall clock at the start plus what has passed since, so that it never goes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
// As the actors' timers: where those follow a clock that a test moves, so does the hive's time.
use tokio::time::Instant;

/// The hive's time on one node. Cheap to clone; all clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Running {
        began_at: Timestamp,
        began: Instant,
    },
    /// Somebody else's clock, as it was last heard: microseconds to add to what has passed since `began`.
    Following {
        ahead: Arc<AtomicI64>,
        began: Instant,
    },
    Stopped(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that starts at the wall clock's time, or at `floor` where that is later (the wall clock went back
    /// since the last commit).
    #[must_use]
    pub fn starting_from(floor: Timestamp) -> Self {
        Self::running_from(wall_time().max(floor))
    }

    /// A clock that starts at a time that is given, as if it were the wall clock's.
    #[must_use]
    pub fn running_from(began_at: Timestamp) -> Self {
        Self(Source::Running { began_at, began: Instant::now() })
    }

    /// A clock that follows another one, which told this time just now; it goes on by itself in between.
    pub(crate) fn following(told: Timestamp) -> Self {
        Self(Source::Following { ahead: Arc::new(AtomicI64::new(told.as_micros())), began: Instant::now() })
    }

    /// A clock that follows the one that told this time; one that stands still stays as it is.
    pub(crate) fn or_following(self, told: Timestamp) -> Self {
        match self.0 {
            Source::Stopped(_) => self,
            Source::Running { .. } | Source::Following { .. } => Self::following(told),
        }
    }

    /// What time it is by the clock that is followed, which has just told it; a clock that stands still goes on standing.
    pub(crate) fn heard(&self, told: Timestamp) -> Timestamp {
        match &self.0 {
            Source::Following { ahead, began } => {
                let passed = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
                // Never back: what is ahead already waits until the other clock is there.
                ahead.fetch_max(told.as_micros().saturating_sub(passed), Ordering::SeqCst);
                told
            }
            Source::Running { .. } | Source::Stopped(_) => self.now(),
        }
    }

    /// A clock that stands still until somebody moves it: for tests.
    #[must_use]
    pub fn stopped_at(at: Timestamp) -> Self {
        Self(Source::Stopped(Arc::new(AtomicI64::new(at.as_micros()))))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Running { began_at, began } => {
                let passed = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_micros(began_at.as_micros().saturating_add(passed))
            }
            Source::Following { ahead, began } => {
                let passed = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_micros(ahead.load(Ordering::SeqCst).saturating_add(passed))
            }
            Source::Stopped(at) => Timestamp::from_micros(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a stopped clock on by `ms` milliseconds; a running one does that by itself.
    pub fn advance_ms(&self, ms: u64) {
        if let Source::Stopped(at) = &self.0 {
            let moved = self.now().plus_ms(ms);
            at.store(moved.as_micros(), Ordering::SeqCst);
        }
    }

    /// The same clock, held at or above `floor`.
    pub(crate) fn not_before(self, floor: Timestamp) -> Self {
        match &self.0 {
            Source::Running { began_at, began } => {
                Self(Source::Running { began_at: (*began_at).max(floor), began: *began })
            }
            Source::Following { .. } => {
                self.heard(floor);
                self
            }
            Source::Stopped(at) => {
                at.fetch_max(floor.as_micros(), Ordering::SeqCst);
                self
            }
        }
    }
}

/// Microseconds since the Unix epoch by the wall clock; 0 for a clock set before it.
fn wall_time() -> Timestamp {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_no_earlier_than_what_is_stored() {
        let later = Timestamp::from_micros(wall_time().as_micros() + 3_600_000_000);
        assert!(Clock::starting_from(later).now() >= later);
        assert!(Clock::starting_from(Timestamp::ZERO).now() < later);
        assert!(Clock::starting_from(Timestamp::ZERO).not_before(later).now() >= later);
    }

    #[test]
    fn a_clock_that_follows_another_is_never_behind_what_it_heard_and_never_goes_back() {
        let hour = 3_600_000;
        let told = Timestamp::from_micros(1_000_000_000_000_000);
        let clock = Clock::following(told);
        let other = clock.clone();
        assert!(clock.now() >= told && clock.now() < told.plus_ms(hour));
        assert_eq!(clock.heard(told.plus_ms(hour)), told.plus_ms(hour));
        assert!(other.now() >= told.plus_ms(hour));
        assert_eq!(clock.heard(told), told, "a batch is written by the other clock's time");
        assert!(other.now() >= told.plus_ms(hour));
        assert!(other.not_before(told.plus_ms(2 * hour)).now() >= told.plus_ms(2 * hour));
    }

    #[test]
    fn a_stopped_clock_moves_only_when_told_and_for_all_its_clones() {
        let clock = Clock::stopped_at(Timestamp::from_micros(1_000));
        let other = clock.clone();
        clock.advance_ms(2);
        assert_eq!(other.now(), Timestamp::from_micros(3_000));
    }
}
