//! How long a failed task waits before its next attempt.

/// Exponential backoff with jitter: `initial_ms * factor^(failures - 1)`, at most `max_ms`, plus or minus `jitter`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Backoff {
    /// Wait after the first failure, in milliseconds.
    pub initial_ms: u64,
    /// Growth from failure to failure, at least 1.
    pub factor: f64,
    /// Longest wait before jitter, in milliseconds.
    pub max_ms: u64,
    /// Share of the wait by which it may be shorter or longer, 0 to 1.
    pub jitter: f64,
}

/// Longest wait that may be asked for: 7 days in milliseconds.
pub const WAIT_MS_MAX: u64 = 7 * 24 * 3_600 * 1_000;

impl Default for Backoff {
    fn default() -> Self {
        Self { initial_ms: 1_000, factor: 2.0, max_ms: 300_000, jitter: 0.2 }
    }
}

impl Backoff {
    /// The wait in milliseconds after `failures` failures (1-based); `chance` is a random number from 0 to 1.
    #[must_use]
    pub fn wait_ms(&self, failures: u32, chance: f64) -> u64 {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = lossy(self.initial_ms) * self.factor.powi(exponent);
        let capped = grown.min(lossy(self.max_ms));
        let spread = 1.0 + self.jitter * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
        whole(capped * spread)
    }

    /// The first rule that is broken: the field's name and what it must be.
    #[must_use]
    pub fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        if self.initial_ms > WAIT_MS_MAX {
            Some(("backoff.initial_ms", "must be at most 604800000 (7 days)"))
        } else if self.max_ms > WAIT_MS_MAX {
            Some(("backoff.max_ms", "must be at most 604800000 (7 days)"))
        } else if !(1.0..=100.0).contains(&self.factor) {
            Some(("backoff.factor", "must be from 1 to 100"))
        } else if !(0.0..=1.0).contains(&self.jitter) {
            Some(("backoff.jitter", "must be from 0 to 1"))
        } else {
            None
        }
    }
}

/// Exact for every span below 2^53 ms, which [`WAIT_MS_MAX`] guarantees.
#[expect(clippy::as_conversions, reason = "there is no lossless conversion; spans stay far below 2^53")]
const fn lossy(ms: u64) -> f64 {
    ms as f64
}

/// Float to integer casts saturate and turn NaN into 0, which is what a wait wants.
#[expect(clippy::as_conversions, reason = "saturating by definition")]
const fn whole(ms: f64) -> u64 {
    ms as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_jitter_the_wait_doubles_up_to_its_maximum() {
        let backoff = Backoff { jitter: 0.0, max_ms: 5_000, ..Backoff::default() };
        let waits: Vec<_> = (1..=5).map(|n| backoff.wait_ms(n, 0.7)).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 5_000, 5_000]);
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_jitter_for_any_number_of_failures(
            failures in 1u32.., chance in 0.0f64..1.0, jitter in 0.0f64..=1.0,
        ) {
            let backoff = Backoff { jitter, ..Backoff::default() };
            let wait = lossy(backoff.wait_ms(failures, chance));
            let middle = (1_000.0 * 2.0f64.powi(i32::try_from(failures.saturating_sub(1).min(1_000)).unwrap())).min(300_000.0);
            prop_assert!(wait >= (middle * (1.0 - jitter)).floor() && wait <= (middle * (1.0 + jitter)).ceil());
        }
    }
}
