//! `GET /api/dashboard/metrics/websockets`: what sessions count.

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// Show the counters of WebSocket sessions.
#[utoipa::path(get, path = "/api/dashboard/metrics/websockets", tag = "live",
    responses((status = 200, description = "Prometheus' text format; JSON for whoever accepts `application/json` alone or first",
        content((String = "text/plain"), (serde_json::Value = "application/json")))))]
pub(crate) async fn show_live_metrics(
    hive: Hive,
    _: Allowed<ReadHive>,
    http: HttpRequest,
    _: NoQuery,
) -> Answer {
    let metrics = &hive.live.metrics;
    metrics.measure(&hive.live.book, hive.feed.log());
    let accept = http.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.trim_start().starts_with("application/json")) {
        return ok(&metrics.json());
    }
    let text = metrics.text().map_err(|error| Problem::Internal { cause: error.to_string() })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
