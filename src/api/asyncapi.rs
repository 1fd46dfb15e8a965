//! `GET /api/asyncapi.json`: the AsyncAPI 3.1 document of both WebSockets, the watchers' and the workers', made from the schemas of
//! their frames.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use protocol::live::{CONTRACT_VERSION, SCHEMA};
use protocol::worker_session;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::live::connect::ROOT;
use crate::live::greeting::Endpoint;
use crate::query::NoQuery;

/// Show the document of the WebSocket.
#[utoipa::path(get, path = "/api/asyncapi.json", tag = "live",
    responses((status = 200, description = "AsyncAPI 3.1; it needs no login", body = serde_json::Value)))]
pub(crate) async fn show_asyncapi(_: NoQuery) -> Answer {
    static JSON: OnceLock<String> = OnceLock::new();
    let json = match JSON.get() {
        Some(json) => json,
        None => {
            let made = serde_json::to_string(&asyncapi()?)?;
            JSON.get_or_init(|| made)
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(json.as_str()))
}

/// The document.
///
/// # Errors
/// Never: the schema is part of the program; what the parser says.
pub fn asyncapi() -> Result<Value, serde_json::Error> {
    let text = SCHEMA.replace("#/$defs/", "#/components/schemas/");
    let schema: Value = serde_json::from_str(&text)?;
    let defs = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let from_hive = names(&defs, "server_frame");
    let from_client = names(&defs, "client_frame");
    let mut messages: BTreeMap<&str, Value> =
        from_hive.iter().chain(&from_client).map(|name| (name.as_str(), message(name, &defs))).collect();
    let in_channel: BTreeMap<&str, Value> =
        messages.keys().map(|name| (*name, reference(&format!("components/messages/{name}")))).collect();
    let mut channels = Map::new();
    let mut operations = Map::new();
    for endpoint in Endpoint::WATCHING {
        let name = endpoint.as_str();
        channels.insert(
            name.to_owned(),
            json!({
                "address": format!("{ROOT}{name}"),
                "description": "Query: `subscriptions` (topics with commas between them), `access_token`, \
                    `resume` (`EPOCH:OFFSET`), `strict`.",
                "messages": in_channel,
                "bindings": {"ws": {"method": "GET"}},
            }),
        );
        for (action, verb, frames) in [("send", "tell", &from_hive), ("receive", "hear", &from_client)] {
            let frames: Vec<Value> =
                frames.iter().map(|frame| reference(&format!("channels/{name}/messages/{frame}"))).collect();
            operations.insert(
                format!("{verb}_{name}"),
                json!({
                    "action": action,
                    "channel": reference(&format!("channels/{name}")),
                    "messages": frames,
                }),
            );
        }
    }
    let workers = add_workers(&mut channels, &mut operations, &mut messages)?;
    let defs: Map<String, Value> = defs.into_iter().chain(workers).collect();
    Ok(json!({
        "asyncapi": "3.1.0",
        "info": {
            "title": "Agent Hive, live",
            "version": CONTRACT_VERSION,
            "description": "What is spoken over WebSocket: a watcher hears what happens and may ask; a worker takes assignments and reports.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"here": {"host": "127.0.0.1:18080", "protocol": "ws", "description": "The hive, where it listens unless told otherwise",
            "security": [{"$ref": "#/components/securitySchemes/bearer"}]}},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": defs,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer",
                "description": "The admin token or an API key: as a header, as `access_token` in the address, or as the subprotocol `bearer.TOKEN`"}},
        },
    }))
}

/// The two frames of a worker's session: the hive's, and the worker's.
const OF_WORKERS: [&str; 2] = ["HiveFrame", "WorkerFrame"];

/// Adds the channel of workers; answers its schemas.
fn add_workers(
    channels: &mut Map<String, Value>,
    operations: &mut Map<String, Value>,
    messages: &mut BTreeMap<&str, Value>,
) -> Result<Map<String, Value>, serde_json::Error> {
    let text = worker_session::SCHEMA.replace("#/$defs/", "#/components/schemas/");
    let schema: Value = serde_json::from_str(&text)?;
    let defs = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, (action, verb)) in OF_WORKERS.into_iter().zip([("send", "tell"), ("receive", "hear")]) {
        let said = [reference(&format!("channels/worker/messages/{name}"))];
        let channel = reference("channels/worker");
        operations.insert(
            format!("{verb}_worker"),
            json!({"action": action, "channel": channel, "messages": said}),
        );
        messages.insert(name, message(name, &defs));
    }
    let in_channel = OF_WORKERS.map(|name| (name, reference(&format!("components/messages/{name}"))));
    channels.insert(
        "worker".to_owned(),
        json!({
            "address": "/api/v2/agents/{id}/session",
            "description": "A worker takes assignments and reports about them. Query: `worker_instance`, `access_token`.",
            "parameters": {"id": {"description": "The agent"}},
            "messages": BTreeMap::from(in_channel),
            "bindings": {"ws": {"method": "GET"}},
        }),
    );
    Ok(defs)
}

/// The frames that a definition lists.
fn names(defs: &Map<String, Value>, side: &str) -> Vec<String> {
    let listed = defs.get(side).and_then(|side| side.get("oneOf")).and_then(Value::as_array);
    let name = |item: &Value| Some(item.get("$ref")?.as_str()?.rsplit('/').next()?.to_owned());
    listed.into_iter().flatten().filter_map(name).collect()
}

fn message(name: &str, defs: &Map<String, Value>) -> Value {
    let summary = defs.get(name).and_then(|def| def.get("description")).cloned().unwrap_or_default();
    json!({"name": name, "summary": summary, "payload": reference(&format!("components/schemas/{name}"))})
}

fn reference(path: &str) -> Value {
    json!({"$ref": format!("#/{path}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = asyncapi().unwrap();
        let text = document.to_string();
        let mut count = 0;
        for part in text.split(r##""$ref":"#"##).skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            count += 1;
        }
        assert!(count > 100);
        assert!(!text.contains("$defs"));
    }
}
