//! How many requests are under way, so that a stop can wait for them while the hive still answers that it drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of requests under `/api` that have begun and are not answered yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// One more, until the answer is dropped.
    pub(crate) fn begin(&self) -> Begun {
        self.0.fetch_add(1, Ordering::AcqRel);
        Begun(self.clone())
    }
}

/// A request that is under way; counts until it is dropped, also when its client goes away.
pub(crate) struct Begun(InFlight);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_until_it_is_dropped() {
        let in_flight = InFlight::default();
        let (one, two) = (in_flight.begin(), in_flight.begin());
        assert_eq!(in_flight.count(), 2);
        drop(one);
        assert_eq!(in_flight.count(), 1);
        drop(two);
        assert_eq!(in_flight.count(), 0);
    }
}
