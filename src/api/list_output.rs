//! `GET /tasks/{id}/output`: what the attempts wrote, piece by piece.

use actix_web::HttpRequest;
use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{OutputEnd, OutputQuery, OutputView, Page};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{self, Answer, ok};
use crate::follow_output::follow;
use crate::path::Named;
use crate::query::Given;
use crate::sse;
use crate::state::Hive;
use crate::views;

/// Read or follow the output of a task.
#[utoipa::path(get, path = "/api/v2/tasks/{id}/output", tag = "tasks",
    params(("id" = TaskIdText, Path, description = "The task"), OutputQuery,
           ("Last-Event-ID" = Option<String>, Header, pattern = r"^[0-9]{1,9}\.[0-9]{1,9}$", description = "With `follow`: goes on after this event")),
    responses((status = 200, description = "In the order in which it was written. With `follow=true` a stream: \
        `event: output` with an id and an OutputView, a comment each 15 s, and `event: end` with an OutputEnd when the \
        task has ended; a stream that ends without it may be taken up again",
        content((Page<OutputView> = "application/json"), (OutputEnd = "text/event-stream")))))]
pub(crate) async fn list_output(
    hive: Hive,
    principal: Allowed<ReadHive>,
    http: HttpRequest,
    id: Named<TaskId>,
    given: Given,
) -> Answer {
    let asked = OutputQuery::read(given.0)?;
    let seen = sse::last_event(&http)?;
    if asked.follow {
        return follow(hive, &principal, &http, &id, seen.or(asked.cursor)).await;
    }
    let (place, limit) = (asked.cursor.unwrap_or_default(), asked.limit());
    let after = (place.attempt, place.chunk);
    let found = hive.readers.output(principal.tenant(), id.0, after, limit.saturating_add(1)).await?;
    let chunks = found.ok_or_else(|| id.not_found())?.into_iter().map(views::output);
    ok(&answer::page(chunks, limit, |view| view.place().to_string(), None))
}
