//! What may go wrong, the same for every operation of one shape.

use protocol::ProblemDetails;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::operations;
use crate::allowed::Right;

/// The schema of every error.
pub(super) fn add_schemas(components: &mut Components) {
    let mut schemas = vec![(ProblemDetails::name().into_owned(), ProblemDetails::schema())];
    ProblemDetails::schemas(&mut schemas);
    components.schemas.extend(schemas);
}

/// What those are told who lack the right.
pub(super) fn add_forbidden(document: &mut OpenApi, rights: &[(&'static str, &'static str, Right)]) {
    for (method, path, right) in rights {
        let Some(item) = document.paths.paths.get_mut(*path) else { continue };
        let Some((_, operation)) = operations(item).find(|(known, _)| known == method) else { continue };
        let told = format!("`forbidden`: it takes the role {}", right.roles());
        let known = &mut operation.responses.responses;
        known.entry("403".to_owned()).or_insert_with(|| RefOr::T(problem(&told)));
    }
}

/// What an operation of this shape may answer beside what its handler says.
pub(super) fn add(path: &str, is_guarded: bool, operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    let is_api = path.starts_with("/api/");
    let mut add = |applies: bool, status: &str, description: &str| {
        if applies {
            let known = &mut operation.responses.responses;
            known.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
        }
    };
    add(is_guarded, "401", "`unauthorized`: no valid token");
    add(path.contains('{'), "404", "`not_found`");
    add(has_body, "400", "`malformed_json`");
    add(has_body, "413", "`payload_too_large`");
    add(is_api, "422", "`unknown_field`, `invalid_value` or `idempotency_mismatch`");
    add(is_guarded, "429", "`rate_limited`: the key asks more often than it may, with Retry-After");
    add(is_guarded, "500", "`internal`: a bug of the hive");
    add(is_guarded, "503", "`overloaded`, `store_unavailable` or `not_ready`, with Retry-After");
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
