//! `POST /api/dashboard/websocket/broadcast`: an operator says something to everybody who watches a topic.

use bytestring::ByteString;
use protocol::live::answers::BroadcastView;
use protocol::live::frame::{Body, Frame};
use protocol::query::BroadcastQuery;
use serde_json::Value;

use crate::allowed::{Allowed, ManageSessions};
use crate::answer::{Answer, ok};
use crate::body::{Body as Sent, Small};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// Say something to all sessions of a topic.
#[utoipa::path(post, path = "/api/dashboard/websocket/broadcast", tag = "live", params(BroadcastQuery),
    responses((status = 200, description = "It was handed to the sessions as `operator_message`; the body, any JSON or none, is its `data`",
        body = BroadcastView)))]
pub(crate) async fn broadcast(
    hive: Hive,
    principal: Allowed<ManageSessions>,
    given: Given,
    sent: Sent<Small>,
) -> Answer {
    let BroadcastQuery { subscription: root, message_type } = BroadcastQuery::read(given.0)?;
    let bytes_max = hive.live.settings.message_bytes_max;
    if sent.bytes().len() > bytes_max {
        return Err(Problem::PayloadTooLarge { bytes_max });
    }
    let data = match sent.bytes() {
        b"" => Value::Null,
        bytes => serde_json::from_slice(bytes).map_err(|error| Problem::Malformed(error.to_string()))?,
    };
    let body = Body::OperatorMessage {
        subscription: root.as_str().to_owned(),
        message_type: message_type.clone(),
        data,
    };
    let correlation_id = principal.caller.correlation_id.to_string();
    let text = Frame { body, timestamp: hive.clock.now(), correlation_id }.text();
    let sessions = hive.live.say(root, &ByteString::from(text)).await;
    tracing::info!(
        correlation_id = &*principal.caller.correlation_id,
        principal = &*principal.caller.principal,
        ws.subscription = root.as_str(),
        ws.r#type = message_type,
        sessions,
        "broadcast"
    );
    ok(&BroadcastView { subscription: root.as_str().to_owned(), message_type, sessions })
}
