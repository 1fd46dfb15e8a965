//! `GET /api/dashboard/websocket/health`: how hubs and sessions are.

use std::time::Duration;

use protocol::live::answers::{ConnectionHealthView, LiveHealthView, ScoreView};

use super::hub::Count;
use super::measure::NO_REDIS;
use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// How long a hub may take to answer.
const HUB_WITHIN: Duration = Duration::from_millis(500);
/// The score that a hive has at most while one of its hubs does not run.
const WITHOUT_HUB: f64 = 50.0;

/// Show how the WebSocket sessions are.
#[utoipa::path(get, path = "/api/dashboard/websocket/health", tag = "live",
    responses((status = 200, description = "Looked at now", body = LiveHealthView)))]
pub(crate) async fn show_live_health(hive: Hive, _: Allowed<ReadHive>, _: NoQuery) -> Answer {
    let hubs = hive.live.hubs();
    let (mut running, mut blocked) = (0_usize, 0_usize);
    for hub in &hubs {
        if let Ok((_, stuck)) = hub.ask_within(Count, HUB_WITHIN).await {
            running = running.saturating_add(1);
            blocked = blocked.saturating_add(stuck);
        }
    }
    let total = hive.live.book.count();
    let reading = u64::try_from(total.saturating_sub(blocked)).unwrap_or(u64::MAX);
    let share = views::share(reading, u64::try_from(total).unwrap_or(u64::MAX)).unwrap_or(1.0);
    let is_whole = running == hubs.len() && running > 0;
    let score = if is_whole { share * 100.0 } else { (share * 100.0).min(WITHOUT_HUB) };
    ok(&LiveHealthView {
        websocket_manager: if is_whole { "healthy" } else { "degraded" }.to_owned(),
        connection_stats: ConnectionHealthView {
            total_connections: total,
            blocked_connections: blocked,
            hubs: running,
        },
        redis_connectivity: NO_REDIS.to_owned(),
        overall_health: ScoreView { score, status: word(score).to_owned() },
    })
}

fn word(score: f64) -> &'static str {
    if score >= 90.0 {
        "healthy"
    } else if score >= 50.0 {
        "degraded"
    } else {
        "unhealthy"
    }
}
