//! How answers are built.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LOCATION};
use protocol::{AgentView, ApiKeyView, Page, TaskView};
use serde::Serialize;

use crate::problem::Problem;

/// What an endpoint gives back.
pub(crate) type Answer = Result<HttpResponse, Problem>;

/// Says that the request was accepted before and nothing new was made.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Most answers are smaller, so that the buffer grows at most once or twice.
const BYTES_USUAL: usize = 1_024;

/// 200 with a body.
pub(crate) fn ok(view: &impl Serialize) -> Answer {
    json(StatusCode::OK, view)
}

/// 201 for a task, or for the same one again.
pub(crate) fn task_created(view: &TaskView, is_replayed: bool) -> Answer {
    created(view, &format!("/api/v2/tasks/{}", view.id), is_replayed)
}

/// 201 for an API key. Nobody between here and whoever asked may keep it.
pub(crate) fn key_created(view: &ApiKeyView, is_replayed: bool) -> Answer {
    let mut answer = created(view, "/api/v2/auth/keys", is_replayed)?;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// 201 for an agent, or for the same one again.
pub(crate) fn agent_created(view: &AgentView, is_replayed: bool) -> Answer {
    created(view, &format!("/api/v2/agents/{}", view.id), is_replayed)
}

fn created(view: &impl Serialize, location: &str, is_replayed: bool) -> Answer {
    let mut answer = json(StatusCode::CREATED, view)?;
    let headers = answer.headers_mut();
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    if is_replayed {
        mark_replayed(&mut answer);
    }
    Ok(answer)
}

/// Says that nothing new was made.
pub(crate) fn mark_replayed(answer: &mut HttpResponse) {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
}

/// 200 for a task that is there already.
pub(crate) fn task_existing(view: &TaskView) -> Answer {
    let mut answer = ok(view)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v2/tasks/{}", view.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

fn json(status: StatusCode, view: &impl Serialize) -> Answer {
    let mut body = Vec::with_capacity(BYTES_USUAL);
    serde_json::to_writer(&mut body, view)?;
    Ok(HttpResponse::build(status).content_type("application/json").body(body))
}

/// A page of a list: `limit` items beginning with `items`' first. One item more tells that another page follows.
pub(crate) fn page<T>(
    items: impl Iterator<Item = T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
    total: Option<u64>,
) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut shown: Vec<T> = items.take(limit.saturating_add(1)).collect();
    let has_more = shown.len() > limit;
    shown.truncate(limit);
    let next_cursor = if has_more { shown.last().map(cursor) } else { None };
    Page { items: shown, next_cursor, total_estimate: total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_last_item_as_cursor_only_when_more_follow() {
        let first = page(1..=5, 2, ToString::to_string, Some(5));
        assert_eq!((first.items, first.next_cursor.as_deref()), (vec![1, 2], Some("2")));
        let last = page(3..=4, 2, ToString::to_string, None);
        assert_eq!((last.items, last.next_cursor), (vec![3, 4], None));
        assert!(page(std::iter::empty::<u8>(), 2, ToString::to_string, None).items.is_empty());
    }
}
