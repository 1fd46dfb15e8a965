//! Points in time and spans as the hive stores them: microseconds and milliseconds.

use std::fmt;

/// A point in time: microseconds since the Unix epoch, UTC. Stored as BIGINT, shown as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const ZERO: Self = Self(0);
    /// Later than every task: "never".
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment plus `ms` milliseconds, held at [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        let span = if ms > MS_MAX { MS_MAX } else { ms };
        Self(self.0.saturating_add_unsigned(span.saturating_mul(1_000)))
    }

    /// This moment minus `ms` milliseconds.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        let span = if ms > MS_MAX { MS_MAX } else { ms };
        Self(self.0.saturating_sub_unsigned(span.saturating_mul(1_000)))
    }

    /// Milliseconds from `earlier` to this moment; 0 when `earlier` is not earlier.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0) / 1_000
    }
}

/// Longest span in milliseconds that still fits when counted in microseconds.
const MS_MAX: u64 = 9_000_000_000_000_000;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_a_span_never_overflows() {
        assert_eq!(Timestamp::MAX.plus_ms(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::ZERO.plus_ms(2).as_micros(), 2_000);
        assert_eq!(Timestamp::from_micros(5_000).ms_since(Timestamp::from_micros(9_000)), 0);
        assert_eq!(Timestamp::from_micros(9_000).ms_since(Timestamp::from_micros(5_000)), 4);
    }
}
