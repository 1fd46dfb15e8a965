//! The JSON Schema of a worker's session, made from its types.

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::worker_session::{HiveFrame, WorkerSent};

/// Where the document of HTTP keeps its schemas.
const ELSEWHERE: &str = "#/components/schemas/";

/// The schema, as `schemas/worker_messages.schema.json` has it.
///
/// # Errors
/// Never; what the serializer says.
pub fn schema() -> Result<Value, serde_json::Error> {
    let mut parts: Vec<(String, RefOr<Schema>)> = Vec::new();
    HiveFrame::schemas(&mut parts);
    WorkerSent::schemas(&mut parts);
    parts.push((HiveFrame::name().into_owned(), HiveFrame::schema()));
    parts.push((WorkerSent::name().into_owned(), WorkerSent::schema()));
    parts.sort_by(|one, other| one.0.cmp(&other.0));
    let mut definitions = Map::new();
    for (name, schema) in parts {
        definitions.insert(name, serde_json::to_value(schema)?);
    }
    let text = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:agent-hive:worker-messages:1",
        "title": "Frames of a worker's session",
        "description": "What travels over /api/v2/agents/{id}/session: HiveFrame to the worker, WorkerFrame from it.",
        "oneOf": [{"$ref": "#/$defs/HiveFrame"}, {"$ref": "#/$defs/WorkerFrame"}],
        "$defs": definitions,
    });
    serde_json::from_str(&text.to_string().replace(ELSEWHERE, "#/$defs/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_session::SCHEMA;

    #[test]
    fn the_schema_of_a_workers_frames_is_what_the_types_say() {
        let made = serde_json::to_string_pretty(&schema().unwrap()).unwrap() + "\n";
        if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/worker_messages.schema.json");
            std::fs::write(path, &made).unwrap();
            return;
        }
        assert!(made == SCHEMA, "the types have changed: HIVE_TESTS_UPDATE=1 writes the file anew");
    }
}
