//! `GET /health`: how the parts are doing.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a part, or the whole, is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It does its work.
    Healthy,
    /// It does its work, but not as it should.
    Degraded,
    /// It does not do its work.
    Unhealthy,
}

/// The health of the hive: as bad as its worst part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// The worst of the parts.
    pub status: HealthStatus,
    /// The program's version.
    pub version: String,
    /// The version of the WebSocket's contract.
    pub ws_contract_version: String,
    /// When it was looked at.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The parts by name.
    pub components: BTreeMap<String, ComponentHealth>,
    /// How many of them are how.
    pub summary: HealthSummary,
}

/// The health of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComponentHealth {
    /// How it is doing.
    pub status: HealthStatus,
    /// A few words for people.
    pub details: String,
    /// How long it took to find out, in milliseconds.
    pub response_time_ms: f64,
}

/// How many parts are how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HealthSummary {
    /// Healthy parts.
    pub healthy: usize,
    /// Degraded or unhealthy parts.
    pub unhealthy: usize,
    /// All parts.
    pub total: usize,
}

impl HealthView {
    /// Puts the whole together from its parts.
    #[must_use]
    pub fn of(version: &str, timestamp: Timestamp, components: BTreeMap<String, ComponentHealth>) -> Self {
        let worst = components.values().map(|part| part.status).max();
        let healthy = components.values().filter(|part| part.status == HealthStatus::Healthy).count();
        let total = components.len();
        Self {
            status: worst.unwrap_or(HealthStatus::Healthy),
            version: version.to_owned(),
            ws_contract_version: crate::live::CONTRACT_VERSION.to_owned(),
            timestamp,
            summary: HealthSummary { healthy, unhealthy: total - healthy, total },
            components,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_as_bad_as_its_worst_part() {
        let part = |status| ComponentHealth { status, details: String::new(), response_time_ms: 0.1 };
        let parts = |statuses: &[HealthStatus]| {
            statuses.iter().enumerate().map(|(n, status)| (n.to_string(), part(*status))).collect()
        };
        use HealthStatus::{Degraded, Healthy, Unhealthy};
        let health = HealthView::of("1", Timestamp::ZERO, parts(&[Healthy, Unhealthy, Degraded]));
        assert_eq!(health.status, Unhealthy);
        assert_eq!(health.summary, HealthSummary { healthy: 1, unhealthy: 2, total: 3 });
        assert_eq!(HealthView::of("1", Timestamp::ZERO, parts(&[Healthy])).status, Healthy);
    }
}
