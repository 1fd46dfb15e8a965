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
fn every_route_under_api_asks_for_a_token_and_says_what_happens_without_one() {
    for (path, method, operation) in operations_of(&document()) {
        let refused = &operation["responses"]["401"]["content"]["application/problem+json"];
        assert_eq!(path.starts_with("/api/"), refused.is_object(), "{method} {path}");
        let is_open = operation["security"].as_array().unwrap().is_empty();
        assert_eq!(is_open, !path.starts_with("/api/"), "{method} {path}");
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
