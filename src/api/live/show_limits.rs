//! `GET /api/dashboard/websocket/limits`: the numbers that a session keeps to.

use protocol::live::answers::LiveLimitsView;
use protocol::live::limits::{MISSED_WAKES_MAX, RATE_NOTICE_SECONDS};
use protocol::live::{CONTRACT_VERSION, SUPPORTED_VERSIONS};

use crate::allowed::{Allowed, Watch};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::state::Hive;

/// Show the limits of WebSocket sessions.
#[utoipa::path(get, path = "/api/dashboard/websocket/limits", tag = "live",
    responses((status = 200, description = "As the settings have them", body = LiveLimitsView)))]
pub(crate) async fn show_limits(hive: Hive, _: Allowed<Watch>, _: NoQuery) -> Answer {
    let settings = &hive.live.settings;
    ok(&LiveLimitsView {
        rate_limit_tokens_per_second: settings.messages_per_second,
        rate_limit_burst_capacity: settings.burst,
        rate_limit_notify_cooldown_seconds: RATE_NOTICE_SECONDS,
        max_inbound_message_bytes: settings.message_bytes_max,
        max_subscriptions_per_connection: settings.subscriptions_max,
        backpressure_disconnect_threshold: MISSED_WAKES_MAX,
        idle_disconnect_seconds: settings.idle_timeout.as_secs(),
        ws_auth_required: true,
        ws_allowed_origins_configured: !settings.allowed_origins.is_empty(),
        contract_version: CONTRACT_VERSION.to_owned(),
        supported_versions: SUPPORTED_VERSIONS.map(str::to_owned).to_vec(),
        timestamp: hive.clock.now(),
    })
}
