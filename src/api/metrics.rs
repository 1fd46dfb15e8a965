//! What the API counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// Upper bounds in seconds, from 100 µs to a long poll.
const LATENCY_SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// The API's metrics. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests under `/api`, by method, route and status.
    pub requests: IntCounterVec,
    /// From the head of a request to its answer, in seconds, by route. Long polls wait on purpose.
    pub request_seconds: HistogramVec,
    /// Request bodies in memory, in bytes.
    pub bodies_in_flight: IntGauge,
    /// Requests, and those of them that ended with a 5xx.
    answered: Arc<(AtomicU64, AtomicU64)>,
}

impl Metrics {
    /// New metrics, all zero.
    ///
    /// # Errors
    /// Never for the names given here; what the library says of a malformed one.
    pub fn new() -> prometheus::Result<Self> {
        Ok(Self {
            requests: IntCounterVec::new(
                Opts::new("hive_http_requests_total", "Requests under /api, by method, route and status"),
                &["method", "route", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new("hive_http_request_seconds", "Time from a request's head to its answer")
                    .buckets(LATENCY_SECONDS.to_vec()),
                &["route"],
            )?,
            bodies_in_flight: IntGauge::new(
                "hive_http_bodies_in_flight_bytes",
                "Request bodies in memory, in bytes",
            )?,
            answered: Arc::default(),
        })
    }

    /// Shows them in `registry`.
    ///
    /// # Errors
    /// When one of the names is taken there.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.request_seconds.clone()))?;
        registry.register(Box::new(self.bodies_in_flight.clone()))
    }

    /// Requests under `/api` so far, and those of them that ended with a 5xx.
    pub(crate) fn answered(&self) -> (u64, u64) {
        (self.answered.0.load(Ordering::Relaxed), self.answered.1.load(Ordering::Relaxed))
    }

    pub(crate) fn count(&self, method: &str, route: &str, status: &str, took: Duration) {
        self.answered.0.fetch_add(1, Ordering::Relaxed);
        if status.starts_with('5') {
            self.answered.1.fetch_add(1, Ordering::Relaxed);
        }
        self.requests.with_label_values(&[method, route, status]).inc();
        self.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_and_shown() {
        let (metrics, registry) = (Metrics::new().unwrap(), Registry::new());
        metrics.register(&registry).unwrap();
        metrics.count("POST", "/api/v2/tasks", "201", Duration::from_micros(700));
        let shown = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(
            shown.contains(r#"hive_http_requests_total{method="POST",route="/api/v2/tasks",status="201"} 1"#)
        );
        assert!(shown.contains(r#"hive_http_request_seconds_bucket{route="/api/v2/tasks",le="0.001"} 1"#));
        assert!(metrics.register(&registry).is_err(), "a name is taken once");
    }
}
