//! `GET /tasks/{id}/attempts`: every try at a task, the latest first.

use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{AttemptView, Page, PageQuery, query};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{self, Answer, ok};
use crate::path::Named;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// List the attempts of a task.
#[utoipa::path(get, path = "/api/v2/tasks/{id}/attempts", tag = "tasks",
    params(("id" = TaskIdText, Path, description = "The task"), PageQuery),
    responses((status = 200, description = "The latest first", body = Page<AttemptView>)))]
pub(crate) async fn list_attempts(
    hive: Hive,
    principal: Allowed<ReadHive>,
    id: Named<TaskId>,
    given: Given,
) -> Answer {
    let asked = PageQuery::read(given.0)?;
    let before: u32 = match &asked.cursor {
        Some(cursor) => cursor.parse().map_err(|_| Problem::invalid("cursor", query::BROKEN_CURSOR))?,
        None => u32::MAX,
    };
    let one_more = asked.limit().saturating_add(1);
    let found = hive.readers.attempts(principal.tenant(), id.0, before, one_more).await?;
    let attempts = found.ok_or_else(|| id.not_found())?;
    // They are numbered from 1, and all of them are kept.
    let latest = attempts.first().map_or(0, |record| u64::from(record.attempt));
    let total = asked.cursor.is_none().then_some(latest);
    let rest = attempts.into_iter().map(views::attempt);
    ok(&answer::page(rest, asked.limit(), |view| view.attempt.to_string(), total))
}
