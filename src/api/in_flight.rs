//! How many requests are under way, so that a stop can wait for them while the hive still answers that it drains.
//!
//! Invariant: a stream counts apart and is never waited for like a request: it ends by itself when the hive drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of requests under `/api` that have begun and are not answered yet, and of answers that go on as streams.
/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicUsize,
    streams: AtomicUsize,
    sessions: AtomicUsize,
}

impl InFlight {
    /// How many requests there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.requests.load(Ordering::Acquire)
    }

    /// How many streams and sessions are open. Soon after a drain began these are the ones whose clients do not read.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.streams.load(Ordering::Acquire).saturating_add(self.0.sessions.load(Ordering::Acquire))
    }

    /// One more, until the answer is dropped.
    pub(crate) fn begin(&self) -> Begun {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        Begun(self.clone())
    }

    /// One more stream, until it is dropped; `None` when there are `streams_max` already.
    pub(crate) fn begin_stream(&self, streams_max: usize) -> Option<Streaming> {
        let more = |streams: usize| (streams < streams_max).then(|| streams.saturating_add(1));
        let begun = self.0.streams.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        begun.is_ok().then(|| Streaming(self.clone()))
    }

    /// One more session, until it is dropped. Sessions have a limit of their own.
    pub(crate) fn begin_session(&self) -> InSession {
        self.0.sessions.fetch_add(1, Ordering::AcqRel);
        InSession(self.clone())
    }
}

/// A request that is under way; counts until it is dropped, also when its client goes away.
pub(crate) struct Begun(InFlight);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A stream that is open; counts until it is dropped, also when its client goes away.
pub(crate) struct Streaming(InFlight);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A session that is open; counts until it is dropped.
pub(crate) struct InSession(InFlight);

impl Drop for InSession {
    fn drop(&mut self) {
        self.0.0.sessions.fetch_sub(1, Ordering::AcqRel);
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

    #[test]
    fn there_are_no_more_streams_than_there_may_be() {
        let in_flight = InFlight::default();
        let (one, two) = (in_flight.begin_stream(2), in_flight.begin_stream(2));
        assert!(one.is_some() && two.is_some() && in_flight.begin_stream(2).is_none());
        assert_eq!((in_flight.streams(), in_flight.count()), (2, 0), "what was refused does not count");
        drop(one);
        assert!(in_flight.begin_stream(2).is_some());
    }
}
