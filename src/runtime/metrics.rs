//! What the actors count.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Counters of the runtime.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Lease calls by outcome: `granted`, `empty`, `superseded`.
    pub leases: IntCounterVec,
    /// Assignments by outcome: `granted`, `handed_back`.
    pub assignments: IntCounterVec,
    /// Heartbeats by outcome: `fresh` (the stored lease was young enough), `renewed`, `stale`.
    pub heartbeats: IntCounterVec,
    /// Plans that gave out at least one slot.
    pub plans: IntCounter,
    /// Tasks that were claimed in the commit that stored them.
    pub eager_claims: IntCounter,
    /// Rows that janitors moved or removed, by chore.
    pub swept: IntCounterVec,
    /// Times the coordinator's or the feed's view was built anew from the store.
    pub rebuilds: IntCounterVec,
}

impl Metrics {
    /// Makes the counters and registers them.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let family = |name: &str, text: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, text), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let single = |name: &str, text: &str| {
            let counter = IntCounter::new(name, text)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            leases: family("hive_lease_calls_total", "Lease calls by outcome", "outcome")?,
            assignments: family("hive_assignments_total", "Assignments by outcome", "outcome")?,
            heartbeats: family("hive_heartbeats_total", "Heartbeats by outcome", "outcome")?,
            plans: single("hive_plans_total", "Plans that gave out at least one slot")?,
            eager_claims: single("hive_eager_claims_total", "Tasks claimed in the commit that stored them")?,
            swept: family("hive_swept_rows_total", "Rows moved or removed by janitors, by chore", "chore")?,
            rebuilds: family("hive_rebuilds_total", "Views built anew from the store, by part", "part")?,
        })
    }
}
