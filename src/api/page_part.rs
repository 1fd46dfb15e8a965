//! How the parts of a page leave. All of them are in the program: a page works without any other host, and its policy lets
//! the browser ask none.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// Nothing but what this hive serves, nothing inline, nobody's frame. Source: <https://www.w3.org/TR/CSP3/>; there,
/// `'self'` means the WebSocket of the same host, too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page holds.
pub(crate) fn page(text: &'static str) -> HttpResponse {
    part("text/html; charset=utf-8", text)
}

/// What it does.
pub(crate) fn script(text: &'static str) -> HttpResponse {
    part("text/javascript; charset=utf-8", text)
}

/// What it looks like.
pub(crate) fn style(text: &'static str) -> HttpResponse {
    part("text/css; charset=utf-8", text)
}

fn part(media_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        // Another version of the program has another page under the same address.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text)
}
