//! What every request under `/api` passes, once: correlation id, login, limit of its rate, metrics, log line, and the
//! form of errors.
//!
//! Everything else (`/health`, `/metrics`) goes by untouched; the contract and its page pass without a login.
//!
//! Invariant: no answer under `/api` leaves without its correlation id, and every error among them is a problem.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};

use crate::address;
use crate::connection::Traffic;
use crate::correlation;
use crate::live::connect;
use crate::principal::{authenticate, bearer, bearer_or_offered};
use crate::problem::Problem;
use crate::rate_limit::Standing;
use crate::routes::{self, RouteName};
use crate::state::Hive;
use crate::work;

/// Route of a request that no route takes, in metrics and logs.
const UNMATCHED: &str = "unmatched";

/// The route whose calls take as long as their callers ask for.
const WAITS_ON_PURPOSE: &str = "/api/v2/agents/{id}/lease";

/// The middleware.
pub(crate) async fn gate<B: MessageBody + 'static>(
    hive: Hive,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let _under_way = request.conn_data::<Rc<Traffic>>().map(Traffic::begin);
    normalize(&mut request);
    if !request.path().starts_with("/api/") {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let began = Instant::now();
    let _begun = hive.in_flight.begin();
    let correlation_id = correlation::of(request.headers());
    if routes::is_open(request.path()) {
        let response = next.call(request).await?;
        return Ok(finish(&hive, in_our_form(response, &correlation_id), &correlation_id, None, began));
    }
    let find = |sha256: &[u8; 32]| hive.runtime.api_key(sha256);
    let is_session = request.path().starts_with(connect::ROOT) || work::open::is_here(request.path());
    let asked = if is_session {
        let token = bearer_or_offered(request.headers(), request.query_string());
        authenticate(token.as_deref(), &hive.admin_token_sha256, find, &correlation_id)
    } else {
        authenticate(bearer(request.headers()), &hive.admin_token_sha256, find, &correlation_id)
    };
    if is_session && asked.is_err() {
        hive.live.metrics.denials.with_label_values(&["auth"]).inc();
    }
    // Keys are counted; the admin token is not, so that nobody locks the owner out.
    let key = asked.as_ref().ok().and_then(|principal| principal.key.as_ref());
    let standing = key.map(|held| hive.quota.take(&held.meter, hive.clock.now()));
    let admitted = standing.as_ref().map_or(Ok(()), Standing::check);
    let response = match asked.and_then(|principal| admitted.map(|()| principal)) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            address::point(&mut request);
            next.call(request).await?
        }
        Err(problem) => {
            let refused = problem.respond(request.path(), &correlation_id);
            let response = request.into_response(refused).map_into_right_body();
            return Ok(finish(&hive, response, &correlation_id, standing, began));
        }
    };
    Ok(finish(&hive, in_our_form(response, &correlation_id), &correlation_id, standing, began))
}

fn in_our_form<B>(
    response: ServiceResponse<B>,
    correlation_id: &str,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    match explained(&response, correlation_id) {
        Some(problem) => response.into_response(problem).map_into_right_body(),
        None => response.map_into_left_body(),
    }
}

/// The response in the form of a problem, when it is an error that is not in that form or has no correlation id yet.
fn explained<B>(response: &ServiceResponse<B>, correlation_id: &str) -> Option<HttpResponse> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let path = response.request().path();
    if let Some(problem) = response.response().error().and_then(Error::as_error::<Problem>) {
        if let Some(cause) = problem.cause() {
            let route = route_of(response);
            let code = problem.code().as_str();
            tracing::warn!(correlation_id, http.route = route, code, error = cause, "request failed");
        }
        return Some(problem.respond(path, correlation_id));
    }
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == protocol::problem::MEDIA_TYPE.as_bytes());
    (!is_problem).then(|| Problem::of_status(status).respond(path, correlation_id))
}

fn finish<B>(
    hive: &Hive,
    mut response: ServiceResponse<B>,
    correlation_id: &Arc<str>,
    standing: Option<Standing>,
    began: Instant,
) -> ServiceResponse<B> {
    if let Ok(id) = HeaderValue::from_str(correlation_id) {
        response.headers_mut().insert(correlation::HEADER, id);
    }
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    let took = began.elapsed();
    let status = response.status();
    let method = method_of(response.request().method());
    let route = route_of(&response);
    hive.metrics.count(method, route, status.as_str(), took);
    hive.runtime.answered((route != WAITS_ON_PURPOSE).then_some(took), status.is_server_error());
    let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::info!(
            correlation_id = &**correlation_id,
            http.method = method,
            http.route = route,
            http.status = status.as_u16(),
            latency_us,
            "request"
        );
    } else {
        tracing::debug!(
            correlation_id = &**correlation_id,
            http.method = method,
            http.route = route,
            http.status = status.as_u16(),
            latency_us,
            "request"
        );
    }
    response
}

fn route_of<B>(response: &ServiceResponse<B>) -> &'static str {
    response.request().app_data::<RouteName>().map_or(UNMATCHED, |name| name.0)
}

/// Methods are the client's to invent; labels are not.
fn method_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// A trailing slash changes nothing, nor does the percent-encoding of a character that needs none, source:
/// <https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2>. From here on there is one spelling of each path.
fn normalize(request: &mut ServiceRequest) {
    let Some(uri) = normal(request.uri()) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// The normal form, when it is another one.
fn normal(uri: &Uri) -> Option<Uri> {
    let path = decoded(uri.path());
    let trimmed = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path);
    if trimmed == uri.path() {
        return None;
    }
    let text = uri.query().map_or_else(|| trimmed.to_owned(), |query| format!("{trimmed}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Undoes, once, the percent-encoding of letters, digits and `-._~`; what else is encoded stays as it came.
fn decoded(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default();
    let mut whole = String::new();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or(("", part));
        let is_hex = code.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(code, 16).ok().filter(|_| is_hex);
        match byte.map(char::from) {
            Some(plain) if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => {
                whole.push(plain);
                whole.push_str(rest);
            }
            _ => {
                whole.push('%');
                whole.push_str(part);
            }
        }
    }
    if whole.is_empty() { Cow::Borrowed(path) } else { Cow::Owned(format!("{first}{whole}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Option<String> {
        normal(&text.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn one_trailing_slash_is_cut_and_the_query_stays() {
        assert_eq!(cut("/api/v2/tasks/").as_deref(), Some("/api/v2/tasks"));
        assert_eq!(cut("/api/v2/tasks/?limit=1").as_deref(), Some("/api/v2/tasks?limit=1"));
        assert_eq!(cut("/"), None);
        assert_eq!(cut("/api"), None);
    }

    #[test]
    fn what_needs_no_percent_encoding_is_decoded_once_and_everything_else_stays() {
        assert_eq!(cut("/%61pi/v2/queues/a%2Db%2e%7e/pause").as_deref(), Some("/api/v2/queues/a-b.~/pause"));
        assert_eq!(cut("/api/%76%32/?x=%61").as_deref(), Some("/api/v2?x=%61"));
        assert_eq!(cut("/api/%2561").as_deref(), None, "once: a percent sign stays encoded");
        for same in ["/a%2Fb", "/a%20b", "/a%zzb", "/a%4", "/a%", "/a%+1b", "/%C3%A4", "/a%00"] {
            assert_eq!(cut(same), None, "{same}");
        }
    }
}
