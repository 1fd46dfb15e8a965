//! The four timeouts of a task, and the deadlines that follow from them.

use crate::time::Timestamp;

/// How long a task may take, each in milliseconds; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Timeouts {
    /// From ready to claimed; then it fails. Counted again after each backoff and redrive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schedule_to_start_ms: Option<u64>,
    /// From claim to end of one attempt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_to_close_ms: Option<u64>,
    /// Between two heartbeats; takes the place of the hive's lease.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heartbeat_ms: Option<u64>,
    /// From submit (or redrive) to the end of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schedule_to_close_ms: Option<u64>,
}

/// Longest timeout that may be asked for: 30 days in milliseconds.
pub const TIMEOUT_MS_MAX: u64 = 30 * 24 * 3_600 * 1_000;
/// Shortest heartbeat timeout: anything below would expire on an ordinary network.
pub const HEARTBEAT_MS_MIN: u64 = 1_000;

impl Timeouts {
    /// When the whole task must have ended, for one that was put in at `since`.
    #[must_use]
    pub fn close_deadline(&self, since: Timestamp) -> Option<Timestamp> {
        self.schedule_to_close_ms.map(|ms| since.plus_ms(ms))
    }

    /// When a waiting task expires that becomes ready at `eligible_at`, given its close deadline.
    #[must_use]
    pub fn wait_deadline(
        &self,
        eligible_at: Timestamp,
        close_deadline: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let start = self.schedule_to_start_ms.map(|ms| eligible_at.plus_ms(ms));
        earliest(start, close_deadline)
    }

    /// Up to when an attempt may hold its lease at most, however often it is renewed.
    #[must_use]
    pub fn attempt_deadline(
        &self,
        started_at: Timestamp,
        close_deadline: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let close = self.start_to_close_ms.map(|ms| started_at.plus_ms(ms));
        earliest(close, close_deadline)
    }

    /// How long a lease lasts without a heartbeat, in milliseconds.
    #[must_use]
    pub fn lease_ttl_ms(&self, default_ms: u64) -> u64 {
        self.heartbeat_ms.unwrap_or(default_ms)
    }

    /// The first rule that is broken: the field's name and what it must be.
    #[must_use]
    pub fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        const RANGE: &str = "must be from 1 to 2592000000 (30 days)";
        let named = [
            ("timeouts.schedule_to_start_ms", self.schedule_to_start_ms),
            ("timeouts.start_to_close_ms", self.start_to_close_ms),
            ("timeouts.schedule_to_close_ms", self.schedule_to_close_ms),
        ];
        let out_of_range = named
            .into_iter()
            .find(|(_, ms)| ms.is_some_and(|ms| ms == 0 || ms > TIMEOUT_MS_MAX))
            .map(|(field, _)| (field, RANGE));
        let heartbeat = self
            .heartbeat_ms
            .filter(|ms| !(HEARTBEAT_MS_MIN..=TIMEOUT_MS_MAX).contains(ms))
            .map(|_| ("timeouts.heartbeat_ms", "must be from 1000 to 2592000000 (30 days)"));
        out_of_range.or(heartbeat)
    }
}

/// The earlier of two optional moments.
#[must_use]
pub fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_task_expires_at_the_earlier_of_start_and_close() {
        let timeouts = Timeouts {
            schedule_to_start_ms: Some(100),
            schedule_to_close_ms: Some(50),
            ..Timeouts::default()
        };
        let since = Timestamp::from_micros(1_000_000);
        let close = timeouts.close_deadline(since);
        assert_eq!(close, Some(since.plus_ms(50)));
        assert_eq!(timeouts.wait_deadline(since, close), Some(since.plus_ms(50)));
        assert_eq!(timeouts.wait_deadline(since, None), Some(since.plus_ms(100)));
        assert_eq!(Timeouts::default().wait_deadline(since, None), None);
        assert_eq!(Timeouts::default().attempt_deadline(since, close), close);
    }

    #[test]
    fn timeouts_out_of_range_are_named() {
        let zero = Timeouts { start_to_close_ms: Some(0), ..Timeouts::default() };
        assert_eq!(zero.broken_rule().map(|(field, _)| field), Some("timeouts.start_to_close_ms"));
        let hasty = Timeouts { heartbeat_ms: Some(999), ..Timeouts::default() };
        assert_eq!(hasty.broken_rule().map(|(field, _)| field), Some("timeouts.heartbeat_ms"));
        assert_eq!(Timeouts { heartbeat_ms: Some(1_000), ..Timeouts::default() }.broken_rule(), None);
    }
}
