//! The OpenAPI 3.1 document, made from the handlers, and its route.
//!
//! What the handlers and the types of the protocol say is all there is; here stands only what is the same for many
//! operations: who may ask (`access`), what may go wrong (`problems`), what follows from an answer (`links`), and
//! what the derives cannot say (`forms`).

mod forms;
mod links;
mod problems;

use std::sync::OnceLock;

use actix_web::HttpResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, PathItem, RefOr, SecurityRequirement,
};

use crate::answer::Answer;
use crate::query::NoQuery;
use crate::routes::{Documented, rights};

const BEARER: &str = "bearer";
const ABOUT: &str = "Durable tasks for fleets of AI agents. Errors are RFC 9457 problem details with a closed list of \
    codes; a field or parameter that is not of this document is refused by its name. Every request may send \
    `X-Correlation-Id`; every answer has it. No text may hold the character U+0000.";

/// The tags in reading order, and what stands behind each.
const TAGS: &[(&str, &str)] = &[
    ("tasks", "What is to be done: handed in, looked at, changed, canceled, put back."),
    (
        "work",
        "What a worker calls: it leases assignments, keeps them with heartbeats and reports how they ended.",
    ),
    ("agents", "Who does it: workers that ask over HTTP, and processes that the hive starts."),
    (
        "queues",
        "Where tasks wait. A queue comes into being with its first task, or when it is paused or limited.",
    ),
    ("dead letters", "Tasks that are out of attempts, and the way back."),
    ("events", "The log of everything that was committed, in order and without gaps."),
    ("live", "The hive as it happens: WebSocket sessions, and what is known of them."),
    ("workspaces", "Git worktrees on the hive's machine that attempts worked in."),
    ("keys", "API keys: who may ask, and for what."),
    ("system", "The hive itself."),
    ("health", "For probes and scrapers; none of these needs a login."),
];

/// Show this document.
#[utoipa::path(get, path = "/api/v2/openapi.json", tag = "system",
    responses((status = 200, description = "This document; it needs no login", body = serde_json::Value)))]
pub(crate) async fn show_openapi(_: NoQuery) -> Answer {
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
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    document.info = InfoBuilder::new()
        .title("Agent Hive")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let here = ServerBuilder::new().url("/").description(Some("The hive that serves this document")).build();
    document.servers = Some(vec![here]);
    document.tags = Some(TAGS.iter().map(|(name, about)| tag(name, about)).collect());
    let components = document.components.get_or_insert_with(Components::new);
    problems::add_schemas(components);
    components.schemas.extend(protocol::schemas::all());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The admin token, or an API key"))
        .build();
    components.security_schemes.insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    let rights = rights();
    problems::add_forbidden(&mut document, &rights);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let is_guarded = rights.iter().any(|(known, place, _)| *known == method && place == path);
            operation.security = Some(access(is_guarded));
            problems::add(path, is_guarded, operation);
        }
    }
    links::add(&mut document);
    forms::mend(&mut document);
    document
}

fn tag(name: &str, about: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(about)).build()
}

/// Who may ask.
fn access(is_guarded: bool) -> Vec<SecurityRequirement> {
    if is_guarded { vec![SecurityRequirement::new(BEARER, Vec::<String>::new())] } else { Vec::new() }
}

/// Every operation of a path, with its method.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    let named = [("get", get), ("post", post), ("put", put), ("patch", patch), ("delete", delete)];
    named.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
