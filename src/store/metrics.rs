//! What the store counts.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::quarantine::Quarantine;

/// Upper bounds in seconds for things that take from 50 µs to seconds.
const LATENCY_SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Upper bounds in commands.
const BATCH_SIZES: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1_000.0, 2_000.0];

/// The store's metrics. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Batches, by result: `committed`, `unavailable`.
    pub writer_batches: IntCounterVec,
    /// Commands of one batch.
    pub writer_batch_commands: Histogram,
    /// From the first statement of a batch to the end of its sync, in seconds.
    pub writer_commit_seconds: Histogram,
    /// Parts of a batch, in seconds, by kind. On a server its round trips: `begin` (all rows that were foreseen), `read` and
    /// `write` (one statement that was not), `settle` (rows before such a statement), `commit`. Of a file `apply` (all
    /// statements) and `commit` (with the sync); between batches, seldom, `restart` and `truncate` of its log.
    pub writer_statement_seconds: HistogramVec,
    /// Commands, by kind and outcome: `applied`, `refused`, `unavailable`, `overloaded`.
    pub writer_commands: IntCounterVec,
    /// Batches that were applied again command by command because one of them failed.
    pub writer_replays: IntCounter,
    /// Tries of batches that others were in the way of: a lock, a deadlock, a serialization failure, another node.
    pub writer_retries: IntCounter,
    /// From the call to the answer of a read, in seconds, by query.
    pub reader_query_seconds: HistogramVec,
    /// Connections of readers, by state: `busy`, `idle`; and reads that are `waiting` for one.
    pub reader_connections: IntGaugeVec,
    /// Checkpoints of the write-ahead log, by mode (`passive`, `restart`, `truncate`) and result (`done`, `busy`, `failed`).
    pub checkpoint_runs: IntCounterVec,
    /// Size of the write-ahead log, in bytes, as last seen.
    pub wal_bytes: IntGauge,
    /// Tasks whose rows cannot be understood.
    pub quarantine: Quarantine,
}

impl Metrics {
    /// New metrics, all zero.
    ///
    /// # Errors
    /// Never for the names given here; what the library says of a malformed one.
    pub fn new() -> prometheus::Result<Self> {
        Ok(Self {
            writer_batches: counters(
                "hive_writer_batches_total",
                "Batches the writer took, by result",
                &["result"],
            )?,
            writer_batch_commands: Histogram::with_opts(
                HistogramOpts::new("hive_writer_batch_commands", "Commands of one batch")
                    .buckets(BATCH_SIZES.to_vec()),
            )?,
            writer_commit_seconds: Histogram::with_opts(
                HistogramOpts::new("hive_writer_commit_seconds", "Time to apply and sync one batch")
                    .buckets(LATENCY_SECONDS.to_vec()),
            )?,
            writer_statement_seconds: HistogramVec::new(
                HistogramOpts::new("hive_writer_statement_seconds", "Parts of a batch, by kind")
                    .buckets(LATENCY_SECONDS.to_vec()),
                &["kind"],
            )?,
            writer_commands: counters(
                "hive_writer_commands_total",
                "Commands, by kind and outcome",
                &["kind", "outcome"],
            )?,
            writer_replays: IntCounter::new(
                "hive_writer_replays_total",
                "Batches applied again command by command because one of them failed",
            )?,
            writer_retries: IntCounter::new(
                "hive_writer_retries_total",
                "Tries of batches that others were in the way of",
            )?,
            reader_query_seconds: HistogramVec::new(
                HistogramOpts::new("hive_reader_query_seconds", "Time from call to answer of a read")
                    .buckets(LATENCY_SECONDS.to_vec()),
                &["query"],
            )?,
            reader_connections: IntGaugeVec::new(
                Opts::new(
                    "hive_reader_connections",
                    "Connections of readers, by state, and reads that wait for one",
                ),
                &["state"],
            )?,
            checkpoint_runs: counters(
                "hive_checkpoint_runs_total",
                "Checkpoints of the write-ahead log, by mode and result",
                &["mode", "result"],
            )?,
            wal_bytes: IntGauge::new("hive_wal_bytes", "Size of the write-ahead log")?,
            quarantine: Quarantine::new()?,
        })
    }

    /// Makes them visible in `registry`.
    ///
    /// # Errors
    /// When one of the names is registered already.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.writer_batches.clone()))?;
        registry.register(Box::new(self.writer_batch_commands.clone()))?;
        registry.register(Box::new(self.writer_commit_seconds.clone()))?;
        registry.register(Box::new(self.writer_statement_seconds.clone()))?;
        registry.register(Box::new(self.writer_commands.clone()))?;
        registry.register(Box::new(self.writer_replays.clone()))?;
        registry.register(Box::new(self.writer_retries.clone()))?;
        registry.register(Box::new(self.reader_query_seconds.clone()))?;
        registry.register(Box::new(self.reader_connections.clone()))?;
        registry.register(Box::new(self.checkpoint_runs.clone()))?;
        registry.register(Box::new(self.wal_bytes.clone()))?;
        registry.register(Box::new(self.quarantine.count().clone()))
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}
