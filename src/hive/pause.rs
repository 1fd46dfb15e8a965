//! How long somebody waits before they try again: longer each time, and never the same for two.

use std::time::Duration;

/// The first pause.
const MIN: Duration = Duration::from_millis(100);
/// The longest one.
const MAX: Duration = Duration::from_secs(10);

/// The pauses of one outage; a new one begins with `default`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pause {
    tries: u32,
}

impl Pause {
    /// How long to wait now: it doubles from 100 ms up to 10 s, times a random number from a half to one.
    pub fn grow(&mut self) -> Duration {
        let longest = MIN.saturating_mul(2_u32.saturating_pow(self.tries)).min(MAX);
        self.tries = self.tries.saturating_add(1);
        longest.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_ten_seconds_and_are_half_chance() {
        let mut pause = Pause::default();
        for longest_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
            let longest = Duration::from_millis(longest_ms);
            let next = pause.grow();
            assert!(next <= longest && next >= longest / 2, "{next:?} of {longest:?}");
        }
        pause.tries = u32::MAX;
        assert!(pause.grow() <= MAX);
    }
}
