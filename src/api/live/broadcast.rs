//! `POST /api/dashboard/websocket/broadcast`: an operator says something to everybody who watches a topic.

use bytestring::ByteString;
use domain::Violations;
use protocol::live::answers::BroadcastView;
use protocol::live::frame::{Body, Frame};
use protocol::live::topic::Root;
use protocol::query::Pairs;
use serde_json::Value;

use crate::allowed::{Allowed, ManageSessions};
use crate::answer::{Answer, ok};
use crate::body::{Body as Sent, Small};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// Parameters of a broadcast.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document alone; `asked` reads them")]
struct BroadcastParameters {
    /// Who hears it: the sessions that are subscribed to this topic, or to a part of it; `system` when missing.
    #[param(pattern = "^(agents|alerts|coordination|project_index|system|tasks)$")]
    subscription: Option<String>,
    /// What it is, for the clients; `notice` when missing.
    #[param(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    message_type: Option<String>,
}

/// Say something to all sessions of a topic.
#[utoipa::path(post, path = "/api/dashboard/websocket/broadcast", tag = "live", params(BroadcastParameters),
    responses((status = 200, description = "It was handed to the sessions as `operator_message`; the body, any JSON or none, is its `data`",
        body = BroadcastView)))]
pub(crate) async fn broadcast(
    hive: Hive,
    principal: Allowed<ManageSessions>,
    given: Given,
    sent: Sent<Small>,
) -> Answer {
    let (root, message_type) = asked(given.0)?;
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
    let sessions = hive.live.say(root, &ByteString::from(text));
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

fn asked(pairs: Pairs) -> Result<(Root, String), Problem> {
    let (mut root, mut message_type) = (None, None);
    for (name, value) in pairs {
        match name.as_str() {
            "subscription" if root.is_some() => return Err(Problem::invalid(&name, "stands twice")),
            "message_type" if message_type.is_some() => return Err(Problem::invalid(&name, "stands twice")),
            "subscription" => {
                let found = Root::ALL.into_iter().find(|root| root.as_str() == value);
                root = Some(found.ok_or_else(|| Problem::invalid(&name, "is no topic"))?);
            }
            "message_type" => {
                let is_word = value.len() <= 64
                    && value.starts_with(|first: char| first.is_ascii_lowercase())
                    && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                if !is_word {
                    let rule = "must be 1 to 64 characters of a-z, 0-9 and '_', a letter first";
                    return Err(Problem::invalid(&name, rule));
                }
                message_type = Some(value);
            }
            _ => {
                let unknown = Violations::one(name, "is no parameter of this route");
                return Err(Problem::UnknownField(unknown));
            }
        }
    }
    Ok((root.unwrap_or(Root::System), message_type.unwrap_or_else(|| "notice".to_owned())))
}
