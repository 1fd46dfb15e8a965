//! How often an API key may ask: a bucket of `burst` requests that fills again at a steady rate.
//!
//! The generic cell rate algorithm in its virtual-scheduling form, source: ITU-T I.371, annex A. All it keeps of a key is
//! one moment, which lies in the key's own entry of the ring: no map, no lock, no memory beyond that of the keys.
//!
//! Its answers are told in the form of draft-ietf-httpapi-ratelimit-headers-10.

use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use domain::Timestamp;

use crate::problem::Problem;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const SECOND_NS: i64 = 1_000_000_000;

/// How often an API key may ask.
#[derive(Debug, Clone, Copy)]
pub struct RateSettings {
    /// On the long run.
    pub requests_per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self { requests_per_second: 1_000, burst: 2_000 }
    }
}

/// The same for every key.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Between two requests, on the long run.
    interval_ns: i64,
    /// How far a key may be ahead of that.
    tolerance_ns: i64,
    policy: HeaderValue,
}

/// How a key stands after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many more it may make at once.
    remaining: i64,
    /// After how many seconds it may make all of them again.
    reset_s: i64,
    /// After how many seconds it may ask again, where it may not now.
    retry_after_s: Option<i64>,
    policy: HeaderValue,
}

impl Quota {
    pub(crate) fn new(settings: RateSettings) -> Self {
        let burst = i64::from(settings.burst.max(1));
        let interval_ns = SECOND_NS / i64::from(settings.requests_per_second.max(1));
        let tolerance_ns = interval_ns.saturating_mul(burst);
        // Whoever spreads the quota over the window never meets the limit.
        let policy = format!("\"default\";q={burst};w={}", seconds_up(tolerance_ns).max(1));
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("\"default\""));
        Self { interval_ns, tolerance_ns, policy }
    }

    /// Counts one request of the key of this meter.
    pub(crate) fn take(&self, meter: &AtomicI64, now: Timestamp) -> Standing {
        let now = now.as_micros().saturating_mul(1_000);
        let next = |arrival: i64| {
            let next = arrival.max(now).saturating_add(self.interval_ns);
            (next - now <= self.tolerance_ns).then_some(next)
        };
        match meter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(before) => {
                let ahead = before.max(now).saturating_add(self.interval_ns) - now;
                self.standing(ahead, None)
            }
            Err(full) => {
                let ahead = full - now;
                let wait = ahead + self.interval_ns - self.tolerance_ns;
                self.standing(ahead, Some(seconds_up(wait).max(1)))
            }
        }
    }

    fn standing(&self, ahead_ns: i64, retry_after_s: Option<i64>) -> Standing {
        let remaining = (self.tolerance_ns - ahead_ns).max(0) / self.interval_ns.max(1);
        Standing { remaining, reset_s: seconds_up(ahead_ns), retry_after_s, policy: self.policy.clone() }
    }
}

impl Standing {
    /// Refuses a request that is one too many.
    ///
    /// # Errors
    /// [`Problem::RateLimited`].
    pub(crate) fn check(&self) -> Result<(), Problem> {
        match self.retry_after_s {
            None => Ok(()),
            Some(seconds) => {
                Err(Problem::RateLimited { retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX) })
            }
        }
    }

    /// Tells it, whatever the answer.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert(POLICY, self.policy);
        if let Ok(limit) =
            HeaderValue::try_from(format!("\"default\";r={};t={}", self.remaining, self.reset_s))
        {
            headers.insert(LIMIT, limit);
        }
    }
}

fn seconds_up(ns: i64) -> i64 {
    ns.max(0).saturating_add(SECOND_NS - 1) / SECOND_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn quota(requests_per_second: u32, burst: u32) -> Quota {
        Quota::new(RateSettings { requests_per_second, burst })
    }

    /// How many of so many requests at this moment get through.
    fn through(quota: &Quota, meter: &AtomicI64, at: Timestamp, requests: u32) -> usize {
        (0..requests).filter(|_| quota.take(meter, at).check().is_ok()).count()
    }

    #[test]
    fn a_burst_gets_through_and_from_then_on_the_rate() {
        let (quota, meter) = (quota(10, 5), AtomicI64::new(0));
        assert_eq!(through(&quota, &meter, NOON, 100), 5);
        assert_eq!(through(&quota, &meter, NOON.plus_ms(99), 100), 0);
        assert_eq!(through(&quota, &meter, NOON.plus_ms(100), 100), 1);
        assert_eq!(through(&quota, &meter, NOON.plus_ms(400), 100), 3);
        assert_eq!(
            through(&quota, &meter, NOON.plus_ms(3_600_000), 100),
            5,
            "a pause saves up no more than a burst"
        );
        let over_ten_s = (1..=1_000).map(|n| through(&quota, &meter, NOON.plus_ms(3_600_000 + n * 10), 3));
        assert_eq!(over_ten_s.sum::<usize>(), 100, "what is refused costs nothing");
    }

    #[test]
    fn what_is_left_and_when_to_come_back_is_told() {
        let (quota, meter) = (quota(2, 4), AtomicI64::new(0));
        let told = |at| {
            let standing = quota.take(&meter, at);
            let refused = standing.check().err().map(|problem| format!("{problem:?}"));
            let mut headers = HeaderMap::new();
            standing.tell(&mut headers);
            let header = |name: HeaderName| headers.get(name).unwrap().to_str().unwrap().to_owned();
            assert_eq!(header(POLICY), "\"default\";q=4;w=2");
            (header(LIMIT), refused)
        };
        let limit = |r: u8, t: u8| format!("\"default\";r={r};t={t}");
        assert_eq!(told(NOON), (limit(3, 1), None));
        assert_eq!(told(NOON), (limit(2, 1), None));
        assert_eq!(told(NOON), (limit(1, 2), None));
        assert_eq!(told(NOON), (limit(0, 2), None));
        assert_eq!(told(NOON), (limit(0, 2), Some("RateLimited { retry_after_s: 1 }".into())));
        assert_eq!(told(NOON.plus_ms(2_000)), (limit(3, 1), None));
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_that_are_enough() {
        let (quota, meter) = (quota(1, 3), AtomicI64::new(0));
        assert_eq!(through(&quota, &meter, NOON, 3), 3);
        let Err(Problem::RateLimited { retry_after_s }) = quota.take(&meter, NOON.plus_ms(1)).check() else {
            panic!()
        };
        assert_eq!(retry_after_s, 1);
        assert_eq!(through(&quota, &meter, NOON.plus_ms(1 + 1_000), 1), 1);
    }

    #[test]
    fn many_threads_together_get_no_more_than_one() {
        let (quota, meter) = (quota(1, 1_000), AtomicI64::new(0));
        let count = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| through(&quota, &meter, NOON, 1_000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(count, 1_000);
    }
}
