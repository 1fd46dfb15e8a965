//! `GET /api/docs`: a page that shows the contract to people and tries requests. All of it is in the program: it works
//! without any other host, and its policy lets the browser ask none.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::answer::Answer;
use crate::query::NoQuery;

/// Nothing but what this hive serves, nothing inline, nobody's frame. Source: <https://www.w3.org/TR/CSP3/>.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page itself; it asks for the document when it is open.
pub(crate) async fn show_page(_: NoQuery) -> Answer {
    Ok(part("text/html; charset=utf-8", include_str!("docs_page/page.html")))
}

/// What it does.
pub(crate) async fn show_script(_: NoQuery) -> Answer {
    Ok(part("text/javascript; charset=utf-8", include_str!("docs_page/page.js")))
}

/// What it looks like.
pub(crate) async fn show_style(_: NoQuery) -> Answer {
    Ok(part("text/css; charset=utf-8", include_str!("docs_page/page.css")))
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
