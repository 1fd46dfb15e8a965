//! `POST /api/dashboard/websocket/disconnect/{id}`: an operator ends a session.

use std::sync::Arc;

use actix_web::HttpRequest;
use protocol::live::answers::DisconnectedView;
use protocol::live::limits::Ending;

use super::HUB_WITHIN;
use super::hub::CloseSession;
use crate::allowed::{Allowed, ManageSessions};
use crate::answer::{Answer, ok};
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// End a WebSocket session.
#[utoipa::path(post, path = "/api/dashboard/websocket/disconnect/{id}", tag = "live",
    params(("id" = String, Path, description = "The connection's id, like `ws_0123456789abcdef`")),
    responses((status = 200, description = "It is told `forbidden` and closed with 4403", body = DisconnectedView)))]
pub(crate) async fn disconnect(
    hive: Hive,
    principal: Allowed<ManageSessions>,
    http: HttpRequest,
    _: NoQuery,
) -> Answer {
    let id = crate::address::variable(http.path()).unwrap_or_default();
    let short: String = id.chars().take(64).collect();
    for hub in hive.live.hubs() {
        let close = CloseSession { id: Arc::from(&*short), ending: Ending::Forbidden };
        if hub.ask_within(close, HUB_WITHIN).await == Ok(true) {
            tracing::info!(
                session.id = short,
                correlation_id = &*principal.caller.correlation_id,
                principal = &*principal.caller.principal,
                reason = Ending::Forbidden.reason(),
                "session closed by an operator"
            );
            return ok(&DisconnectedView { connection_id: short, disconnected: true });
        }
    }
    Err(Problem::not_found("connection", short))
}
