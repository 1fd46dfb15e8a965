//! What was measured in a demo, all of it from the attempts that the API shows.

use domain::{Outcome, Timestamp};
use protocol::AttemptView;
use serde::Serialize;

/// Counts, and the time of every attempt.
#[derive(Debug, Default)]
pub struct Figures {
    /// Agents that were registered.
    pub agents: usize,
    /// Tasks that were looked at.
    pub tasks: usize,
    /// Tasks of which everything is as it must be.
    pub tasks_right: usize,
    /// Attempts in all.
    pub attempts: usize,
    /// Attempts that succeeded.
    pub succeeded: usize,
    /// Attempts that ended by a signal.
    pub crashed: usize,
    /// Processor time of all attempts, in milliseconds.
    pub cpu_ms: u64,
    /// Highest resident memory of an attempt, in bytes.
    pub peak_rss_bytes: u64,
    durations_us: Vec<u64>,
    first_start: Option<Timestamp>,
    last_end: Option<Timestamp>,
}

/// How long attempts took from the claim to the stored end, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Durations {
    /// Half of them took at most this long.
    pub p50_us: u64,
    /// 95 of 100 took at most this long.
    pub p95_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Figures {
    /// Takes in the attempts of a task.
    pub fn count(&mut self, attempts: &[AttemptView]) {
        for attempt in attempts {
            self.attempts += 1;
            self.succeeded += usize::from(attempt.outcome == Some(Outcome::Succeeded));
            self.crashed += usize::from(attempt.error.as_ref().is_some_and(|error| error.kind == "signal"));
            let usage = attempt.usage.unwrap_or_default();
            self.cpu_ms += usage.cpu_ms.unwrap_or_default();
            self.peak_rss_bytes = self.peak_rss_bytes.max(usage.peak_rss_bytes.unwrap_or_default());
            let started_at = attempt.started_at;
            self.first_start = Some(self.first_start.map_or(started_at, |first| first.min(started_at)));
            if let Some(ended_at) = attempt.ended_at {
                self.last_end = self.last_end.max(Some(ended_at));
                self.durations_us.push(us_between(started_at, ended_at));
            }
        }
    }

    /// How long attempts took; zeros without any.
    pub fn durations(&self) -> Durations {
        let mut sorted = self.durations_us.clone();
        sorted.sort_unstable();
        // nearest rank
        let share = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Durations { p50_us: share(50), p95_us: share(95), max_us: share(100) }
    }

    /// From the first start to the last end, in microseconds.
    pub fn work_us(&self) -> u64 {
        self.first_start.zip(self.last_end).map_or(0, |(start, end)| us_between(start, end))
    }
}

fn us_between(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.as_micros().saturating_sub(start.as_micros())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(start: i64, end: i64) -> AttemptView {
        AttemptView {
            attempt: 1,
            agent_id: None,
            started_at: Timestamp::from_micros(start),
            ended_at: Some(Timestamp::from_micros(end)),
            outcome: Some(Outcome::Succeeded),
            error: None,
            usage: None,
            workspace: None,
        }
    }

    #[test]
    fn shares_are_taken_by_nearest_rank_and_the_work_spans_from_the_first_start_to_the_last_end() {
        let mut figures = Figures::default();
        let attempts: Vec<_> = (1..=100).rev().map(|us| attempt(1_000 - us, 1_000)).collect();
        figures.count(&attempts);
        assert_eq!(figures.durations(), Durations { p50_us: 50, p95_us: 95, max_us: 100 });
        assert_eq!(figures.work_us(), 100);
        assert_eq!((figures.attempts, figures.succeeded, figures.crashed), (100, 100, 0));
    }

    #[test]
    fn without_attempts_everything_is_zero() {
        let figures = Figures::default();
        assert_eq!(figures.durations(), Durations { p50_us: 0, p95_us: 0, max_us: 0 });
        assert_eq!(figures.work_us(), 0);
    }
}
