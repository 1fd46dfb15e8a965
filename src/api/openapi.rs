//! The OpenAPI 3.1 document, made from the handlers, and its route.

use std::sync::OnceLock;

use actix_web::HttpResponse;
use protocol::ProblemDetails;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder,
    SecurityRequirement,
};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use crate::allowed::{Allowed, ReadContract};
use crate::answer::Answer;
use crate::query::NoQuery;
use crate::routes::{Documented, rights};
use crate::state::Hive;

const BEARER: &str = "bearer";

/// `GET /api/v2/openapi.json`
#[utoipa::path(get, path = "/api/v2/openapi.json", tag = "system",
    responses((status = 200, description = "This document", body = serde_json::Value)))]
pub(crate) async fn show_openapi(_: Hive, _: Allowed<ReadContract>, _: NoQuery) -> Answer {
    static JSON: OnceLock<String> = OnceLock::new();
    let json = match JSON.get() {
        Some(json) => json,
        None => {
            let made = serde_json::to_string(&openapi())?;
            JSON.get_or_init(|| made)
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(json.as_str()))
}

/// The document: every route with its request, its answers and its problems.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = Documented::openapi();
    document.info = InfoBuilder::new()
        .title("Agent Hive")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Durable tasks for fleets of AI agents. Errors are RFC 9457 problem details."))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    add_problem_schema(components);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.security_schemes.insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    add_forbidden(&mut document);
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            add_problems(path, operation);
        }
    }
    document
}

/// What those are told who lack the right.
fn add_forbidden(document: &mut OpenApi) {
    for (method, path, right) in rights() {
        let Some(item) = document.paths.paths.get_mut(path) else { continue };
        let operation = match method {
            "get" => &mut item.get,
            "post" => &mut item.post,
            "put" => &mut item.put,
            "patch" => &mut item.patch,
            "delete" => &mut item.delete,
            _ => continue,
        };
        let Some(operation) = operation else { continue };
        let told = format!("`forbidden`: it takes the role {}", right.roles());
        let known = &mut operation.responses.responses;
        known.entry("403".to_owned()).or_insert_with(|| RefOr::T(problem(&told)));
    }
}

fn add_problem_schema(components: &mut Components) {
    let mut schemas = vec![(ProblemDetails::name().into_owned(), ProblemDetails::schema())];
    ProblemDetails::schemas(&mut schemas);
    components.schemas.extend(schemas);
}

/// What every operation of one shape may answer.
fn add_problems(path: &str, operation: &mut Operation) {
    if !path.starts_with("/api/") {
        operation.security = Some(Vec::new());
        return;
    }
    operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    let has_body = operation.request_body.is_some();
    let mut add = |applies: bool, status: &str, description: &str| {
        if applies {
            let known = &mut operation.responses.responses;
            known.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
        }
    };
    add(true, "401", "`unauthorized`: no valid token");
    add(path.contains('{'), "404", "`not_found`");
    add(has_body, "400", "`malformed_json`");
    add(has_body, "413", "`payload_too_large`");
    add(true, "422", "`unknown_field`, `invalid_value` or `idempotency_mismatch`");
    add(true, "429", "`rate_limited`: the key asks more often than it may, with Retry-After");
    add(true, "500", "`internal`: a bug of the hive");
    add(true, "503", "`overloaded`, `store_unavailable` or `not_ready`, with Retry-After");
    // What the handlers say of their own conflicts is a problem too.
    for status in ["403", "409", "429"] {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
            *response = problem(&response.description);
        }
    }
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(ProblemDetails::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(protocol::problem::MEDIA_TYPE, content).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [get, post, put, patch, delete].into_iter().flatten()
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
