//! A key that only one task of a tenant may have at a time.

use crate::violation::Review;

/// Most characters of a key.
pub const KEY_CHARS_MAX: usize = 256;
/// The longest time a key may be kept for: 366 days in milliseconds.
pub const TTL_MS_MAX: u64 = 31_622_400_000;

/// What a task asks for so that the same work is not submitted twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key, 1 to 256 characters, of one tenant over all queues.
    pub key: String,
    /// How long the task has it.
    pub until: UniqueUntil,
    /// What a submit gets whose key another task has.
    pub on_conflict: OnConflict,
}

/// How long a task has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UniqueUntil {
    /// Until it is terminal; a dead letter that is put back takes it again.
    #[default]
    Terminal,
    /// For ever, also after the task has left.
    Forever,
    /// For so many milliseconds from its submit, whatever becomes of it.
    For(u64),
}

/// What a submit gets whose key another task has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// That task.
    #[default]
    ReturnExisting,
    /// A refusal.
    Reject,
}

impl Unique {
    /// Notes every rule that it breaks.
    pub fn review(&self, review: &mut Review) {
        let length = self.key.chars().count();
        let fits = (1..=KEY_CHARS_MAX).contains(&length) && !self.key.contains('\0');
        review.require(fits, "unique.key", "must be 1 to 256 characters without U+0000");
        if let UniqueUntil::For(ms) = self.until {
            let fits = (1..=TTL_MS_MAX).contains(&ms);
            review.require(fits, "unique.ttl_ms", "must be from 1 to 31622400000 (366 days)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violation::Violations;

    fn broken(unique: &Unique) -> Vec<String> {
        let mut review = Review::new();
        unique.review(&mut review);
        match review.finish() {
            Ok(()) => vec![],
            Err(Violations(found)) => found.into_iter().map(|violation| violation.field).collect(),
        }
    }

    #[test]
    fn a_key_has_its_length_and_its_time_their_limits() {
        let unique = |key: &str, until| Unique { key: key.into(), until, on_conflict: OnConflict::Reject };
        let longest = "ä".repeat(256);
        for good in [
            unique("k", UniqueUntil::Forever),
            unique(&longest, UniqueUntil::Terminal),
            unique("k", UniqueUntil::For(TTL_MS_MAX)),
        ] {
            assert_eq!(broken(&good), Vec::<String>::new());
        }
        for bad in ["", "a\0b", &format!("{longest}ä")] {
            assert_eq!(broken(&unique(bad, UniqueUntil::Terminal)), ["unique.key"]);
        }
        for ms in [0, TTL_MS_MAX + 1] {
            assert_eq!(broken(&unique("k", UniqueUntil::For(ms))), ["unique.ttl_ms"]);
        }
    }
}
