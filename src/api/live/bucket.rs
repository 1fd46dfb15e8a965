//! How often a client may speak: a bucket of tokens, and what becomes of those who have none.

use std::time::{Duration, Instant};

use protocol::live::limits::{FLOOD_DROPS, RATE_NOTICE_SECONDS};

const NOTICE_EVERY: Duration = Duration::from_secs(RATE_NOTICE_SECONDS);

/// A bucket that holds `burst` tokens and gets `rate` new ones each second.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled_at: Instant,
    noticed_at: Option<Instant>,
    drops: u32,
    drops_since: Instant,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is read.
    Pass,
    /// It is dropped, and its sender is told.
    DropAndTell,
    /// It is dropped.
    Drop,
    /// It is dropped, and its sender with it.
    Flood,
}

impl Bucket {
    pub(crate) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            rate: f64::from(rate.max(1)),
            burst,
            tokens: burst,
            filled_at: now,
            noticed_at: None,
            drops: 0,
            drops_since: now,
        }
    }

    /// One message.
    pub(crate) fn take(&mut self, now: Instant) -> Verdict {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.filled_at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Verdict::Pass;
        }
        if now.saturating_duration_since(self.drops_since) >= NOTICE_EVERY {
            self.drops = 0;
            self.drops_since = now;
        }
        self.drops = self.drops.saturating_add(1);
        if self.drops >= FLOOD_DROPS {
            return Verdict::Flood;
        }
        let is_due = self.noticed_at.is_none_or(|at| now.saturating_duration_since(at) >= NOTICE_EVERY);
        if is_due {
            self.noticed_at = Some(now);
            return Verdict::DropAndTell;
        }
        Verdict::Drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bucket: &mut Bucket, now: Instant, messages: u32) -> usize {
        (0..messages).filter(|_| bucket.take(now) == Verdict::Pass).count()
    }

    #[test]
    fn a_burst_passes_and_from_then_on_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(20, 40, now);
        assert_eq!(passed(&mut bucket, now, 60), 40);
        assert_eq!(passed(&mut bucket, now + Duration::from_secs(1), 60), 20);
        assert_eq!(passed(&mut bucket, now + Duration::from_secs(3_600), 60), 40, "a pause saves up a burst");
    }

    #[test]
    fn whoever_speaks_too_often_is_told_at_most_every_five_seconds() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1, 1, now);
        let told = |bucket: &mut Bucket, after_ms: u64| {
            let now = now + Duration::from_millis(after_ms);
            (0..10).filter(|_| bucket.take(now) == Verdict::DropAndTell).count()
        };
        assert_eq!(told(&mut bucket, 0), 1);
        assert_eq!(told(&mut bucket, 4_999), 0);
        assert_eq!(told(&mut bucket, 5_000), 1);
    }

    #[test]
    fn a_thousand_drops_within_five_seconds_are_a_flood_and_slower_ones_are_not() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1, 1, now);
        let flood = (0..1_001).filter(|_| bucket.take(now) == Verdict::Flood).count();
        assert_eq!(flood, 1, "the first passes, and the thousandth drop floods");
        let mut bucket = Bucket::new(1, 1, now);
        for round in 0..10 {
            let now = now + Duration::from_secs(round * 6);
            assert!((0..900).all(|_| bucket.take(now) != Verdict::Flood));
        }
    }
}
