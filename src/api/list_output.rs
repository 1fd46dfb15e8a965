//! `GET /tasks/{id}/output`: what the attempts wrote, piece by piece.

use domain::TaskId;
use protocol::{OutputView, Page, PageQuery, query};

use crate::answer::{self, Answer, ok};
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// `GET /api/v2/tasks/{id}/output`
#[utoipa::path(get, path = "/api/v2/tasks/{id}/output", tag = "tasks",
    params(("id" = String, Path, description = "The task"), PageQuery),
    responses((status = 200, description = "In the order in which it was written", body = Page<OutputView>)))]
pub(crate) async fn list_output(hive: Hive, principal: Principal, id: Named<TaskId>, given: Given) -> Answer {
    let asked = PageQuery::read(given.0)?;
    let after = match &asked.cursor {
        Some(cursor) => place(cursor).ok_or_else(|| Problem::invalid("cursor", query::BROKEN_CURSOR))?,
        None => (0, 0),
    };
    let limit = asked.limit();
    let found = hive.readers.output(principal.tenant(), id.0, after, limit.saturating_add(1)).await?;
    let chunks = found.ok_or_else(|| id.not_found())?.into_iter().map(views::output);
    ok(&answer::page(chunks, limit, |view| format!("{}.{}", view.attempt, view.chunk), None))
}

/// Attempt and chunk of a cursor.
fn place(cursor: &str) -> Option<(u32, u32)> {
    let (attempt, chunk) = cursor.split_once('.')?;
    Some((attempt.parse().ok()?, chunk.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_an_attempt_and_a_chunk() {
        assert_eq!(place("2.17"), Some((2, 17)));
        for bad in ["", "2", "2.", ".1", "2.x", "-1.1", "1.2.3"] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
