//! What the endpoints work with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use feed::FeedHandle;
use runtime::RuntimeHandle;
use store::{Clock, Readers};
use supervision::{Registry, SupervisorRef};

use crate::body::Budget;
use crate::health::Probe;
use crate::in_flight::InFlight;
use crate::live::{Live, LiveSettings};
use crate::metrics::Metrics;
use crate::rate_limit::{Quota, RateSettings};

/// Everything below that the endpoints use, handed in by the composition root.
pub struct ApiState {
    /// Writes, and what is known in memory only.
    pub runtime: RuntimeHandle,
    /// Reads.
    pub readers: Readers,
    /// The projection.
    pub feed: FeedHandle,
    /// The live tree.
    pub registry: Registry,
    /// The time.
    pub clock: Clock,
    /// What `/metrics` shows.
    pub metrics: prometheus::Registry,
    /// SHA-256 of the admin token; the token itself is not kept.
    pub admin_token_sha256: [u8; 32],
    /// What does not change while the hive runs.
    pub facts: SystemFacts,
    /// The numbers.
    pub settings: ApiSettings,
    /// Counts requests under way, for whoever stops the server.
    pub in_flight: InFlight,
    /// The numbers of sessions.
    pub live: LiveSettings,
    /// Over sessions and their hubs.
    pub sessions: SupervisorRef,
}

/// What does not change while the hive runs.
#[derive(Debug, Clone)]
pub struct SystemFacts {
    /// The program's version.
    pub version: &'static str,
    /// When it started.
    pub started_at: Timestamp,
    /// The number of this node.
    pub node: u16,
    /// Which database: `sqlite` or `postgresql`.
    pub database: &'static str,
    /// Where it keeps its files.
    pub data_dir: PathBuf,
    /// Names the log.
    pub epoch: String,
}

/// The web server's numbers.
#[derive(Debug, Clone, Copy)]
pub struct ApiSettings {
    /// Threads that serve HTTP.
    pub web_threads: usize,
    /// Most connections of one thread; more wait in the listener's backlog.
    pub connections_per_thread_max: usize,
    /// How long a connection stays without a request.
    pub idle_timeout: Duration,
    /// How long the head of a request may take to arrive, from its first byte on; of the first one, from the connect on.
    pub head_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// How long a stop waits for requests under way.
    pub shutdown_timeout: Duration,
    /// Most bytes of request bodies in memory at a time.
    pub bodies_in_flight_bytes_max: usize,
    /// How often an API key may ask.
    pub rate: RateSettings,
    /// How long an `Idempotency-Key` is kept.
    pub idempotency_ttl: Duration,
    /// Most streams of output at a time; each waits for news and asks the store each second.
    pub follows_max: usize,
    /// How long a stream of output is silent at most: proxies close what is silent for a minute.
    pub follow_beat: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            web_threads: 2,
            connections_per_thread_max: 25_000,
            idle_timeout: Duration::from_secs(75),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(30),
            bodies_in_flight_bytes_max: 64 << 20,
            rate: RateSettings::default(),
            idempotency_ttl: Duration::from_secs(24 * 3_600),
            follows_max: 256,
            follow_beat: Duration::from_secs(15),
        }
    }
}

/// [`ApiState`] with what the web threads share beside it.
pub(crate) struct Shared {
    pub(crate) state: ApiState,
    pub(crate) metrics: Metrics,
    pub(crate) budget: Arc<Budget>,
    pub(crate) probe: Probe,
    pub(crate) quota: Quota,
    pub(crate) live: Live,
}

/// How an endpoint sees the hive.
pub(crate) type Hive = actix_web::web::Data<Shared>;

impl std::ops::Deref for Shared {
    type Target = ApiState;

    fn deref(&self) -> &ApiState {
        &self.state
    }
}
