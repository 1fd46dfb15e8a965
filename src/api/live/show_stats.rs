//! `GET /api/dashboard/websocket/stats`: who is connected.

use protocol::live::answers::LiveStatsView;
use protocol::live::topic::Root;

use super::connect::ROOT;
use super::greeting::Endpoint;
use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::state::Hive;

/// Show the WebSocket sessions.
#[utoipa::path(get, path = "/api/dashboard/websocket/stats", tag = "live",
    responses((status = 200, description = "Counted now", body = LiveStatsView)))]
pub(crate) async fn show_stats(hive: Hive, _: Allowed<ReadHive>, _: NoQuery) -> Answer {
    ok(&LiveStatsView {
        websocket_stats: hive.live.book.view(),
        endpoints: Endpoint::WATCHING.map(|endpoint| format!("{ROOT}{}", endpoint.as_str())).to_vec(),
        subscription_types: Root::ALL.map(|root| root.as_str().to_owned()).to_vec(),
        last_updated: hive.clock.now(),
    })
}
