//! The measured totals: from the projection, exact at its offset; of the hive's health, as it was last looked at.

use std::rc::Rc;

use bytestring::ByteString;
use domain::{AgentState, Timestamp};
use feed::{Ends, Projection};
use protocol::HealthStatus;
use protocol::live::frame::{Body, Frame, Update};
use protocol::live::topic::Root;
use protocol::live::totals::{
    AgentTotals, CoordinationTotals, HealthCounts, Snapshot, SystemTotals, TaskTotals, Trend,
};

use super::subscriptions::Subscriptions;
use crate::state::Shared;

/// What a hive says that has no Redis, since it needs none.
pub(crate) const NO_REDIS: &str = "not_configured";
/// A change of a share that is worth a word.
const TREND_STEP: f64 = 0.01;

/// The frames of one second: written once for all sessions of a thread.
pub(crate) struct Updates {
    pub(crate) offset: i64,
    frames: Vec<(Root, ByteString)>,
}

impl Updates {
    /// The frames of whoever is subscribed so.
    pub(crate) fn of<'a>(&'a self, subscriptions: &'a Subscriptions) -> impl Iterator<Item = &'a ByteString> {
        self.frames.iter().filter(|(root, _)| subscriptions.has(*root)).map(|(_, text)| text)
    }
}

/// Measures those topics for an update; nothing where there are none.
pub(crate) fn updates(hive: &Shared, roots: &[Root], correlation_id: &str) -> Option<Rc<Updates>> {
    let timestamp = hive.clock.now();
    let health = hive.live.lookout.health();
    let (offset, bodies) = hive.feed.read(|projection| {
        let place = |root: Root| (root.as_str().to_owned(), hive.facts.epoch.clone(), projection.seq());
        let bodies: Vec<(Root, Body)> = roots
            .iter()
            .filter_map(|root| {
                let (subscription, epoch, offset) = place(*root);
                let body = match root {
                    Root::Agents => {
                        let data = agents(projection, timestamp);
                        Body::AgentUpdate(Update { subscription, data, epoch, offset })
                    }
                    Root::Coordination => {
                        let data = coordination(projection, timestamp);
                        Body::CoordinationUpdate(Update { subscription, data, epoch, offset })
                    }
                    Root::Tasks => {
                        let data = tasks(projection, timestamp);
                        Body::TaskUpdate(Update { subscription, data, epoch, offset })
                    }
                    Root::System => {
                        let data = system(health, timestamp);
                        Body::SystemUpdate(Update { subscription, data, epoch, offset })
                    }
                    Root::Alerts | Root::ProjectIndex => return None,
                };
                Some((*root, body))
            })
            .collect();
        (projection.seq(), bodies)
    });
    if bodies.is_empty() {
        return None;
    }
    let frame = |body| Frame { body, timestamp, correlation_id: correlation_id.to_owned() }.text().into();
    let frames = bodies.into_iter().map(|(root, body)| (root, frame(body))).collect();
    Some(Rc::new(Updates { offset, frames }))
}

/// The state of what is subscribed to, and the offset at which it is exact.
pub(crate) fn snapshot(hive: &Shared, subscriptions: &Subscriptions) -> (Snapshot, i64) {
    let now = hive.clock.now();
    let health = hive.live.lookout.health();
    hive.feed.read(|projection| {
        let snapshot = Snapshot {
            agents: subscriptions.has(Root::Agents).then(|| agents(projection, now)),
            coordination: subscriptions.has(Root::Coordination).then(|| coordination(projection, now)),
            tasks: subscriptions.has(Root::Tasks).then(|| tasks(projection, now)),
            system: subscriptions.has(Root::System).then(|| system(health, now)),
        };
        (snapshot, projection.seq())
    })
}

pub(crate) fn agents(projection: &Projection, last_updated: Timestamp) -> AgentTotals {
    let mut totals = AgentTotals { active_count: 0, health_summary: HealthCounts::default(), last_updated };
    for state in projection.agent_states() {
        let count = match state {
            AgentState::Idle | AgentState::Working => {
                totals.active_count += 1;
                &mut totals.health_summary.healthy
            }
            AgentState::Draining => &mut totals.health_summary.healthy,
            AgentState::Stalled | AgentState::Offline | AgentState::Failed => {
                &mut totals.health_summary.degraded
            }
        };
        *count += 1;
    }
    totals
}

pub(crate) fn coordination(projection: &Projection, last_updated: Timestamp) -> CoordinationTotals {
    let counts = projection.totals();
    let success_rate = share(Ends { well: counts.completed, badly: counts.failed });
    let trend = trend(projection.halves(last_updated));
    CoordinationTotals { success_rate, total_tasks: counts.total(), trend, last_updated }
}

pub(crate) fn tasks(projection: &Projection, last_updated: Timestamp) -> TaskTotals {
    let counts = projection.totals();
    TaskTotals {
        queue_length: counts.waiting(),
        in_progress: counts.working,
        failed_recent: projection.failed_recent(last_updated),
        last_updated,
    }
}

pub(crate) fn system(health: (HealthStatus, HealthStatus), last_updated: Timestamp) -> SystemTotals {
    let (overall, database) = health;
    SystemTotals {
        overall_health: word(overall).to_owned(),
        database_status: word(database).to_owned(),
        redis_status: NO_REDIS.to_owned(),
        last_updated,
    }
}

pub(crate) const fn word(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Healthy => "healthy",
        HealthStatus::Degraded => "degraded",
        HealthStatus::Unhealthy => "unhealthy",
    }
}

fn trend([last, before]: [Ends; 2]) -> Trend {
    match (share(last), share(before)) {
        (Some(last), Some(before)) if last > before + TREND_STEP => Trend::Improving,
        (Some(last), Some(before)) if last < before - TREND_STEP => Trend::Declining,
        _ => Trend::Stable,
    }
}

fn share(ends: Ends) -> Option<f64> {
    crate::views::share(ends.well, ends.well.saturating_add(ends.badly))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_is_the_last_half_minute_beside_the_one_before() {
        let ends = |well, badly| Ends { well, badly };
        for (last, before, expected) in [
            (ends(9, 1), ends(8, 2), Trend::Improving),
            (ends(8, 2), ends(9, 1), Trend::Declining),
            (ends(1_000, 1), ends(1_000, 2), Trend::Stable),
            (ends(0, 0), ends(9, 1), Trend::Stable),
            (ends(9, 1), ends(0, 0), Trend::Stable),
        ] {
            assert_eq!(trend([last, before]), expected, "{last:?} after {before:?}");
        }
    }
}
