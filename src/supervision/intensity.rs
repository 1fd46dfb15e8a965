//! How many restarts are too many, and how long to wait before the next one. Pure: time and luck are arguments.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Whose failures count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Shared,
    PerChild,
}

/// How many restarts within a period a supervisor bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    max: u32,
    period: Duration,
    scope: Scope,
}

impl Intensity {
    /// All children's failures count together, as in OTP: right for a few children that depend on each other.
    #[must_use]
    pub const fn shared(max: u32, period: Duration) -> Self {
        Self { max, period, scope: Scope::Shared }
    }

    /// Each child's failures count alone: right for thousands of children that do not know each other.
    #[must_use]
    pub const fn per_child(max: u32, period: Duration) -> Self {
        Self { max, period, scope: Scope::PerChild }
    }

    pub(crate) fn is_per_child(self) -> bool {
        self.scope == Scope::PerChild
    }
}

impl Default for Intensity {
    /// Three restarts in five seconds, counted together.
    fn default() -> Self {
        Self::shared(3, Duration::from_secs(5))
    }
}

/// What happens when the intensity is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExhausted {
    /// The supervisor stops its children and fails towards its own supervisor.
    #[default]
    Escalate,
    /// Only the child that failed is removed.
    GiveUp,
}

/// The failures of the last period, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    times: VecDeque<Instant>,
}

impl Failures {
    /// Counts a failure and says whether there are now more than `intensity` allows.
    pub(crate) fn exceed(&mut self, intensity: Intensity, now: Instant) -> bool {
        while let Some(oldest) = self.times.front() {
            if now.duration_since(*oldest) < intensity.period {
                break;
            }
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.times.len() > usize::try_from(intensity.max).unwrap_or(usize::MAX)
    }

    pub(crate) fn forget(&mut self) {
        self.times.clear();
    }
}

/// How long a failed child waits before it is restarted: doubling, with jitter, back to the start after a quiet period.
///
/// Jitter takes up to half of the delay away, so that children which failed together do not come back together
/// ("equal jitter", M. Brooker, "Exponential Backoff and Jitter", 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    reset_after: Duration,
}

impl Backoff {
    /// Doubles from `first` to `max`; starts again after `reset_after` without a failure.
    #[must_use]
    pub const fn new(first: Duration, max: Duration, reset_after: Duration) -> Self {
        Self { first, max, reset_after }
    }

    /// Restarts at once, every time.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(Duration::ZERO, Duration::ZERO, Duration::ZERO)
    }

    /// The delay before the restart after the `nth` failure in a row (from 0); `roll` is random in 0..1.
    fn delay(self, nth: u32, roll: f64) -> Duration {
        let full = self.first.saturating_mul(2_u32.saturating_pow(nth)).min(self.max);
        full.mul_f64(1.0 - roll.clamp(0.0, 1.0) / 2.0)
    }
}

impl Default for Backoff {
    /// From 10 ms to 5 s, reset after 30 quiet seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(10), Duration::from_secs(5), Duration::from_secs(30))
    }
}

/// How often a child failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    count: u32,
    last: Option<Instant>,
}

impl Streak {
    /// Counts a failure and returns the delay before the restart.
    pub(crate) fn next_delay(&mut self, backoff: Backoff, now: Instant, roll: f64) -> Duration {
        let is_quiet = self.last.is_some_and(|last| now.duration_since(last) >= backoff.reset_after);
        if is_quiet {
            self.count = 0;
        }
        let delay = backoff.delay(self.count, roll);
        self.count = self.count.saturating_add(1);
        // The wait itself is not quiet time.
        self.last = Some(now.checked_add(delay).unwrap_or(now));
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn more_than_max_failures_within_the_period_exceed_the_intensity() {
        let intensity = Intensity::shared(2, SECOND);
        let (mut failures, now) = (Failures::default(), Instant::now());
        assert!(!failures.exceed(intensity, now));
        assert!(!failures.exceed(intensity, now + SECOND / 4));
        assert!(failures.exceed(intensity, now + SECOND / 2));
    }

    #[tokio::test]
    async fn failures_older_than_the_period_do_not_count() {
        let intensity = Intensity::shared(1, SECOND);
        let (mut failures, now) = (Failures::default(), Instant::now());
        assert!(!failures.exceed(intensity, now));
        assert!(!failures.exceed(intensity, now + SECOND));
    }

    #[tokio::test]
    async fn the_delay_doubles_up_to_the_maximum_and_jitter_takes_at_most_half() {
        let backoff = Backoff::new(SECOND, 5 * SECOND, 60 * SECOND);
        assert_eq!(backoff.delay(0, 0.0), SECOND);
        assert_eq!(backoff.delay(1, 0.0), 2 * SECOND);
        assert_eq!(backoff.delay(2, 0.0), 4 * SECOND);
        assert_eq!(backoff.delay(40, 0.0), 5 * SECOND);
        assert_eq!(backoff.delay(2, 1.0), 2 * SECOND);
    }

    #[tokio::test]
    async fn the_delay_starts_again_after_a_quiet_period() {
        let backoff = Backoff::new(SECOND, 8 * SECOND, 10 * SECOND);
        let (mut streak, now) = (Streak::default(), Instant::now());
        assert_eq!(streak.next_delay(backoff, now, 0.0), SECOND);
        assert_eq!(streak.next_delay(backoff, now + SECOND, 0.0), 2 * SECOND);
        assert_eq!(streak.next_delay(backoff, now + 20 * SECOND, 0.0), SECOND);
    }
}
