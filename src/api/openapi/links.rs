//! What follows from an answer: the operations that take the id or name which it holds, as links of the document.

use serde_json::json;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::{OpenApi, RefOr};

use super::operations;

/// An answer that names something: the operation and status it comes from, below which path what it names is used, and
/// where in the answer the name stands.
struct Source {
    operation: &'static str,
    status: &'static str,
    below: &'static str,
    variable: &'static str,
    name: &'static str,
}

const SOURCES: &[Source] = &[
    source("submit_task", "201", "/api/v2/tasks/{id}", "id", "$response.body#/id"),
    source("submit_task", "200", "/api/v2/tasks/{id}", "id", "$response.body#/id"),
    source("register_agent", "201", "/api/v2/agents/{id}", "id", "$response.body#/id"),
    source("create_api_key", "201", "/api/v2/auth/keys/{id}", "id", "$response.body#/id"),
    source("pause_queue", "200", "/api/v2/queues/{name}", "name", "$response.body#/name"),
    source("lease", "200", "/api/v2/tasks/{id}", "id", "$response.body#/assignments/0/task_id"),
];

const fn source(
    operation: &'static str,
    status: &'static str,
    below: &'static str,
    variable: &'static str,
    name: &'static str,
) -> Source {
    Source { operation, status, below, variable, name }
}

/// Adds them.
pub(super) fn add(document: &mut OpenApi) {
    let mut known = Vec::new();
    for (path, item) in &mut document.paths.paths {
        for (_, operation) in operations(item) {
            let id = operation.operation_id.clone().unwrap_or_default();
            let is_report = operation.tags.iter().flatten().any(|tag| tag == "work");
            known.push((path.clone(), id, is_report));
        }
    }
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let id = operation.operation_id.clone().unwrap_or_default();
            for source in SOURCES.iter().filter(|source| source.operation == id) {
                let Some(RefOr::T(response)) = operation.responses.responses.get_mut(source.status) else {
                    continue;
                };
                let used =
                    known.iter().filter(|(path, other, _)| path.starts_with(source.below) && *other != id);
                let links = used
                    .map(|(_, other, is_report)| (other.clone(), RefOr::T(link(source, other, *is_report))));
                response.links.extend(links);
            }
        }
    }
}

/// A report names the attempt beside the task; the assignment has both.
fn link(source: &Source, operation: &str, is_report: bool) -> Link {
    let link = LinkBuilder::new()
        .operation_id(operation)
        .parameter(source.variable, source.name)
        .description(format!("What the answer names is the `{}` of that operation", source.variable));
    let is_leased = source.operation == "lease" && is_report;
    link.request_body(is_leased.then(|| json!({"attempt": "$response.body#/assignments/0/attempt"}))).build()
}
