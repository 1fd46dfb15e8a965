//! The document against the table of routes and against itself.

use super::*;
use crate::routes::TABLE;
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

fn operations_of(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    found
}

#[test]
fn the_document_has_the_routes_of_the_table_and_no_others() {
    let documented: BTreeSet<_> =
        operations_of(&document()).into_iter().map(|(path, method, _)| (path, method)).collect();
    let routed: BTreeSet<_> = TABLE
        .iter()
        .flat_map(|(path, methods)| methods.split(", ").map(|method| ((*path).to_owned(), method.to_owned())))
        .filter(|(_, method)| method != "HEAD")
        .collect();
    assert_eq!(documented, routed);
}

#[test]
fn every_route_under_api_but_the_document_asks_for_a_token_and_says_what_happens_without_one() {
    for (path, method, operation) in operations_of(&document()) {
        let refused = &operation["responses"]["401"]["content"]["application/problem+json"];
        let is_guarded = path.starts_with("/api/")
            && !["/api/v2/openapi.json", "/api/asyncapi.json"].contains(&path.as_str());
        assert_eq!(is_guarded, refused.is_object(), "{method} {path}");
        let is_open = operation["security"].as_array().unwrap().is_empty();
        assert_eq!(is_open, !is_guarded, "{method} {path}");
    }
}

#[test]
fn every_error_in_the_document_is_a_problem() {
    for (path, method, operation) in operations_of(&document()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with(['4', '5']) {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ProblemDetails", "{method} {path} {status}");
            }
        }
        if path.contains('{') {
            assert!(operation["responses"]["404"].is_object(), "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_its_own_id() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let ids: Vec<_> = operations_of(&document)
        .into_iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let ("$ref", Value::String(target)) = (name.as_str(), field) {
                    found.insert(target.clone());
                }
                collect(field, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[test]
fn every_operation_has_a_summary_a_tag_that_is_described_and_an_example_of_its_body() {
    let document = document();
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    for (path, method, operation) in operations_of(&document) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.') && !summary.contains(['`', '/']), "{method} {path}: {summary}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(&tag), "{method} {path}: nothing in TAGS says what {tag} is");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let named = schema["$ref"]
            .as_str()
            .or_else(|| schema["oneOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str()));
        let pointer = named.unwrap().strip_prefix('#').unwrap();
        let examples = &document.pointer(pointer).unwrap()["examples"];
        assert!(examples[0].is_object(), "{method} {path}: {pointer} has no example");
    }
}

#[test]
fn what_an_answer_names_leads_to_every_operation_about_it() {
    let document = document();
    let links = |path: &str, status: &str| {
        let links = &document["paths"][path]["post"]["responses"][status]["links"];
        links.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
    };
    let below = |prefix: &str| {
        let about = operations_of(&document).into_iter().filter(|(path, ..)| path.starts_with(prefix));
        about
            .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(links("/api/v2/tasks", "201"), below("/api/v2/tasks/{id}"));
    assert_eq!(links("/api/v2/agents", "201"), below("/api/v2/agents/{id}"));
    assert_eq!(links("/api/v2/auth/keys", "201"), below("/api/v2/auth/keys/{id}"));
    let leased = &document["paths"]["/api/v2/agents/{id}/lease"]["post"]["responses"]["200"]["links"];
    assert_eq!(leased["complete_task"]["requestBody"]["attempt"], "$response.body#/assignments/0/attempt");
    assert!(leased["cancel_task"]["requestBody"].is_null());
}

#[test]
fn no_parameter_is_null_and_no_default_breaks_its_own_rule() {
    let document = document();
    for (path, method, operation) in operations_of(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = parameter["schema"].to_string();
            assert!(!schema.contains("null"), "{method} {path} {}: {schema}", parameter["name"]);
        }
    }
    assert!(!document["components"].to_string().contains("\"default\":null"));
    assert_eq!(document.pointer("/components/schemas/SubmitTask/properties/title/default"), None);
    let both = &document["components"]["schemas"]["SubmitTask"]["not"]["required"];
    assert_eq!(both, &serde_json::json!(["delay_ms", "eligible_at"]));
}
