//! How often something happened lately, counted second by second.
//!
//! Invariant: an event counts in the second of its commit, so that what is heard late, after a reconnect, is no burst.

use std::collections::BTreeMap;

use domain::Timestamp;

/// How far back is counted, in seconds.
pub const SECONDS: i64 = 30;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Handed in.
    Submitted,
    /// An attempt began.
    Started,
    /// Done.
    Completed,
    /// An attempt failed, with or without another one to come.
    Failed,
}

/// The counts of the last seconds.
#[derive(Debug, Clone)]
pub struct Rates {
    /// The first second of which everything was heard.
    since: i64,
    counts: BTreeMap<(i64, Counted), u32>,
}

impl Rates {
    /// Counts from this moment on.
    #[must_use]
    pub const fn from(at: Timestamp) -> Self {
        Self { since: second(at), counts: BTreeMap::new() }
    }

    /// Takes an event in, by its kind.
    pub fn count(&mut self, kind: &str, at: Timestamp) {
        let counted = match kind {
            "task.submitted" => Counted::Submitted,
            "task.started" => Counted::Started,
            "task.completed" => Counted::Completed,
            "task.failed" | "task.retrying" => Counted::Failed,
            _ => return,
        };
        let newest = second(at);
        let count = self.counts.entry((newest, counted)).or_default();
        *count = count.saturating_add(1);
        let oldest = newest.saturating_sub(2 * SECONDS);
        while self.counts.first_key_value().is_some_and(|((second, _), _)| *second < oldest) {
            self.counts.pop_first();
        }
    }

    /// How many a second, over the last [`SECONDS`] whole ones; `None` before a whole second has gone by.
    #[must_use]
    pub fn per_second(&self, counted: Counted, now: Timestamp) -> Option<f64> {
        let end = second(now);
        let begin = self.since.saturating_add(1).max(end.saturating_sub(SECONDS));
        let seconds = u32::try_from(end.saturating_sub(begin)).ok().filter(|seconds| *seconds > 0)?;
        let range = (begin, Counted::Submitted)..(end, Counted::Submitted);
        let count: u32 =
            self.counts.range(range).filter(|((_, kind), _)| *kind == counted).map(|(_, n)| *n).sum();
        Some(f64::from(count) / f64::from(seconds))
    }
}

const fn second(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000 + 500_000)
    }

    #[test]
    fn a_rate_is_over_whole_seconds_since_the_beginning_and_thirty_at_most() {
        let mut rates = Rates::from(at(100));
        assert_eq!(rates.per_second(Counted::Submitted, at(100)), None);
        assert_eq!(
            rates.per_second(Counted::Submitted, at(101)),
            None,
            "of second 100 only a half was heard"
        );
        for second in 101..111 {
            for _ in 0..4 {
                rates.count("task.submitted", at(second));
            }
            rates.count("task.retrying", at(second));
            rates.count("agent.registered", at(second));
        }
        assert_eq!(rates.per_second(Counted::Submitted, at(111)), Some(4.0));
        assert_eq!(rates.per_second(Counted::Failed, at(111)), Some(1.0));
        assert_eq!(rates.per_second(Counted::Completed, at(111)), Some(0.0));
        assert_eq!(rates.per_second(Counted::Submitted, at(121)), Some(2.0), "ten seconds of silence");
        assert_eq!(rates.per_second(Counted::Submitted, at(1_000)), Some(0.0));
    }

    #[test]
    fn what_is_heard_late_counts_when_it_happened_and_what_is_old_goes() {
        let mut rates = Rates::from(at(0));
        for second in 1..10_000 {
            rates.count("task.completed", at(second));
        }
        assert!(rates.counts.len() <= 61, "{}", rates.counts.len());
        rates.count("task.completed", at(9_000));
        assert_eq!(rates.per_second(Counted::Completed, at(10_000)), Some(1.0));
    }
}
