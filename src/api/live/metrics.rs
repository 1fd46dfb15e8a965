//! What sessions count. Each operation has a counter, each refusal its reason.

use std::collections::BTreeMap;

use feed::Log;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use serde_json::{Value, json};

use super::book::Book;
use super::outbox::Heard;

/// Upper bounds of the time from a commit to where its frame is handed over, in seconds.
const PUBLISH_SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Upper bounds of how many sessions a wake-up concerns.
const FAN_OUT: [f64; 9] = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0];

/// The counters of sessions. All clones count together.
#[derive(Debug, Clone)]
pub(crate) struct LiveMetrics {
    registry: Registry,
    pub(crate) connections: IntCounterVec,
    pub(crate) disconnections: IntCounterVec,
    pub(crate) sent_messages: IntCounterVec,
    pub(crate) sent_bytes: IntCounter,
    pub(crate) received_messages: IntCounterVec,
    pub(crate) received_bytes: IntCounter,
    pub(crate) drops: IntCounterVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) denials: IntCounterVec,
    pub(crate) backpressure: IntCounter,
    pub(crate) send_failures: IntCounter,
    pub(crate) resumes: IntCounterVec,
    pub(crate) open: IntGauge,
    pub(crate) subscriptions: IntGaugeVec,
    pub(crate) held_events: IntGauge,
    pub(crate) publish_seconds: Histogram,
    pub(crate) fan_out: Histogram,
}

impl LiveMetrics {
    /// Counts what a client said; answers how many bytes it has.
    pub(crate) fn count_received(&self, heard: &Heard) -> usize {
        let (kind, bytes) = heard.size();
        self.received_messages.with_label_values(&[kind]).inc();
        self.received_bytes.inc_by(u64::try_from(bytes).unwrap_or(0));
        bytes
    }

    /// New counters, all zero, shown in `shown` and for themselves.
    ///
    /// # Errors
    /// When one of the names is taken in `shown`.
    pub(crate) fn new(shown: &Registry) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let family = |name: &str, text: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, text), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            shown.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let single = |name: &str, text: &str| {
            let counter = IntCounter::new(name, text)?;
            registry.register(Box::new(counter.clone()))?;
            shown.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, text: &str| {
            let gauge = IntGauge::new(name, text)?;
            registry.register(Box::new(gauge.clone()))?;
            shown.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let histogram = |name: &str, text: &str, bounds: &[f64]| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, text).buckets(bounds.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            shown.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let subscriptions = IntGaugeVec::new(
            Opts::new("hive_ws_subscriptions", "Sessions subscribed, by topic"),
            &["topic"],
        )?;
        registry.register(Box::new(subscriptions.clone()))?;
        shown.register(Box::new(subscriptions.clone()))?;
        Ok(Self {
            connections: family("hive_ws_connections_total", "Sessions begun, by endpoint", "endpoint")?,
            disconnections: family("hive_ws_disconnections_total", "Sessions ended, by reason", "reason")?,
            sent_messages: family("hive_ws_sent_messages_total", "Frames sent, by type", "type")?,
            sent_bytes: single("hive_ws_sent_bytes_total", "Bytes of frames sent")?,
            received_messages: family(
                "hive_ws_received_messages_total",
                "Messages received, by kind",
                "kind",
            )?,
            received_bytes: single("hive_ws_received_bytes_total", "Bytes of messages received")?,
            drops: family("hive_ws_drops_total", "Messages dropped and events skipped, by reason", "reason")?,
            errors: family("hive_ws_errors_total", "Refusals told to clients, by code", "code")?,
            denials: family("hive_ws_denials_total", "Handshakes refused, by reason", "reason")?,
            backpressure: single(
                "hive_ws_backpressure_total",
                "Times that a session missed too many wake-ups in a row",
            )?,
            send_failures: single(
                "hive_ws_send_failures_total",
                "Sessions that ended because nothing could be sent to them any more",
            )?,
            resumes: family("hive_ws_resumes_total", "Resumes, by result", "result")?,
            open: gauge("hive_ws_open_connections", "Sessions open now")?,
            held_events: gauge("hive_ws_queue_depth_events", "Events held in memory for sessions")?,
            subscriptions,
            publish_seconds: histogram(
                "hive_ws_publish_seconds",
                "From the commit of an event to where its frame is handed to the socket's library; the oldest event of each \
                 write, which waited longest. Socket and network come on top",
                &PUBLISH_SECONDS,
            )?,
            fan_out: histogram("hive_ws_fan_out_sessions", "Sessions that a wake-up concerns", &FAN_OUT)?,
            registry,
        })
    }

    /// Measures what is not counted as it happens; before every look at the metrics.
    pub(crate) fn measure(&self, book: &Book, log: &Log) {
        self.held_events.set(i64::try_from(log.held()).unwrap_or(i64::MAX));
        for (root, count) in book.subscribed() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.subscriptions.with_label_values(&[root.as_str()]).set(count);
        }
    }

    /// In Prometheus' text format.
    ///
    /// # Errors
    /// What the encoder says.
    pub(crate) fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// As JSON: by name; a labelled family by the value of its label, a histogram as count and sum.
    pub(crate) fn json(&self) -> Value {
        let mut all = BTreeMap::new();
        for family in self.registry.gather() {
            let mut by_label = BTreeMap::new();
            for metric in family.get_metric() {
                let value = if metric.get_histogram().get_sample_count() > 0
                    || family.get_field_type() == prometheus::proto::MetricType::HISTOGRAM
                {
                    let histogram = metric.get_histogram();
                    json!({"count": histogram.get_sample_count(), "sum": histogram.get_sample_sum()})
                } else if family.get_field_type() == prometheus::proto::MetricType::GAUGE {
                    json!(metric.get_gauge().get_value())
                } else {
                    json!(metric.get_counter().get_value())
                };
                let label = metric.get_label().first().map_or("", |label| label.value());
                by_label.insert(label.to_owned(), value);
            }
            let is_single = by_label.len() == 1 && by_label.contains_key("");
            let value = if is_single { by_label.remove("").unwrap_or_default() } else { json!(by_label) };
            all.insert(family.name().to_owned(), value);
        }
        json!(all)
    }
}
