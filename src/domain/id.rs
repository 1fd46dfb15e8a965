//! Identifiers: 63 bits that sort by age, shown as a prefix and 13 letters of Crockford base32.
//!
//! Layout, high to low: 41 bits milliseconds since 2026-01-01, 10 bits node, 12 bits sequence.
//! Invariant: an [`IdGenerator`] never hands out the same number twice and never goes back, also when the
//! wall clock does.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// 2026-01-01T00:00:00Z in milliseconds since the Unix epoch.
const EPOCH_MS: i64 = 1_767_225_600_000;
const SEQUENCE_BITS: u32 = 12;
const NODE_BITS: u32 = 10;
/// Highest node number that fits (1,023).
pub const NODE_MAX: u16 = 1_023;
/// Letters in the shown form: 13 letters of 5 bits hold 63.
const LETTERS: usize = 13;
/// Crockford's base32 alphabet, lower case, source: <https://www.crockford.com/base32.html>.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ followed by 13 letters of Crockford base32")]
pub struct NotAnId {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// From the stored number.
            #[must_use]
            pub const fn from_raw(raw: i64) -> Self {
                Self(raw)
            }

            /// The stored number.
            #[must_use]
            pub const fn raw(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                write_base32(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(read_base32)
                    .map(Self)
                    .ok_or(NotAnId { prefix: $prefix })
            }
        }
    };
}

id!(
    /// A task: `task_` and 13 letters.
    TaskId,
    "task"
);
id!(
    /// An agent: `agent_` and 13 letters.
    AgentId,
    "agent"
);
id!(
    /// An API key: `key_` and 13 letters.
    ApiKeyId,
    "key"
);

/// An interned lane; a small number, given by the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub i64);

/// An interned tenant; a small number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub i64);

impl TenantId {
    /// The tenant `default`, which always exists.
    pub const DEFAULT: Self = Self(1);
    /// Its name.
    pub const DEFAULT_NAME: &'static str = "default";
}

fn write_base32(raw: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mut letters, mut rest) = ([b'0'; LETTERS], raw);
    for letter in letters.iter_mut().rev() {
        let digit = usize::try_from(rest & 31).unwrap_or(0);
        *letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    f.write_str(std::str::from_utf8(&letters).unwrap_or_default())
}

fn read_base32(text: &str) -> Option<i64> {
    if text.len() != LETTERS {
        return None;
    }
    let mut raw: i64 = 0;
    for letter in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter)?;
        raw = raw.checked_mul(32)?.checked_add(i64::try_from(digit).ok()?)?;
    }
    Some(raw)
}

/// Hands out ids for one node. Pure: the caller says what time it is.
#[derive(Debug, Clone)]
pub struct IdGenerator {
    node: i64,
    last: i64,
}

impl IdGenerator {
    /// For node `node` (0 to [`NODE_MAX`], more is held there), starting above `highest_stored`.
    #[must_use]
    pub fn new(node: u16, highest_stored: i64) -> Self {
        Self { node: i64::from(node.min(NODE_MAX)), last: highest_stored }
    }

    /// The next number: from `now`, or one step above the last one when the clock stands still or went back.
    pub fn next_raw(&mut self, now: Timestamp) -> i64 {
        let ms = (now.as_micros() / 1_000).saturating_sub(EPOCH_MS).max(0);
        let fresh = self.compose(ms, 0);
        self.last = if fresh > self.last { fresh } else { self.after_last() };
        self.last
    }

    fn compose(&self, ms: i64, sequence: i64) -> i64 {
        (ms << (NODE_BITS + SEQUENCE_BITS)) | (self.node << SEQUENCE_BITS) | sequence
    }

    /// One sequence step further; a full sequence borrows the next millisecond.
    fn after_last(&self) -> i64 {
        let ms = self.last >> (NODE_BITS + SEQUENCE_BITS);
        let sequence = self.last & ((1 << SEQUENCE_BITS) - 1);
        let same_ms = self.compose(ms, sequence + 1);
        if sequence < (1 << SEQUENCE_BITS) - 1 && same_ms > self.last {
            same_ms
        } else {
            self.compose(ms + 1, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_shown_with_its_prefix_and_read_back() {
        let id = TaskId::from_raw(1_234_567_890_123);
        let shown = id.to_string();
        assert_eq!(shown.len(), 5 + 13);
        assert_eq!(shown.parse::<TaskId>(), Ok(id));
        assert!(shown.parse::<AgentId>().is_err());
        assert!("task_zzzzzzzzzzzzz".parse::<TaskId>().is_err(), "65 bits do not fit");
        assert!("task_".parse::<TaskId>().is_err());
        assert!("task_000000000000U".parse::<TaskId>().is_err());
    }

    proptest! {
        #[test]
        fn every_number_of_63_bits_survives_the_round_trip(raw in 0..=i64::MAX) {
            let id = AgentId::from_raw(raw);
            prop_assert_eq!(id.to_string().parse::<AgentId>(), Ok(id));
        }

        #[test]
        fn ids_only_grow_whatever_the_clock_does(
            node in 0u16..=NODE_MAX, stored in 0i64..(1 << 50),
            clock in prop::collection::vec(0i64..5_000_000, 1..200),
        ) {
            let mut ids = IdGenerator::new(node, stored);
            let mut last = stored;
            for jump in clock {
                let now = Timestamp::from_micros((EPOCH_MS + jump) * 1_000);
                let next = ids.next_raw(now);
                prop_assert!(next > last);
                prop_assert_eq!((next >> SEQUENCE_BITS) & 1_023, i64::from(node));
                last = next;
            }
        }

        #[test]
        fn ids_of_two_nodes_never_meet(clock in prop::collection::vec(0i64..50, 1..300)) {
            let (mut one, mut two) = (IdGenerator::new(1, 0), IdGenerator::new(2, 0));
            let mut seen = std::collections::HashSet::new();
            for jump in clock {
                let now = Timestamp::from_micros((EPOCH_MS + jump) * 1_000);
                prop_assert!(seen.insert(one.next_raw(now)));
                prop_assert!(seen.insert(two.next_raw(now)));
            }
        }
    }
}
