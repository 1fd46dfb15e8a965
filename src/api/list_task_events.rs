//! `GET /tasks/{id}/events`: what happened to one task, in the order of the log.

use domain::{TaskId, TenantId};
use protocol::schemas::TaskIdText;
use protocol::{EventView, Page, PageQuery, query};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::list_events;
use crate::path::Named;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// List the events of a task.
#[utoipa::path(get, path = "/api/v2/tasks/{id}/events", tag = "tasks",
    params(("id" = TaskIdText, Path, description = "The task"), PageQuery),
    responses((status = 200, description = "The oldest first", body = Page<EventView>)))]
pub(crate) async fn list_task_events(
    hive: Hive,
    principal: Allowed<ReadHive>,
    id: Named<TaskId>,
    given: Given,
) -> Answer {
    let asked = PageQuery::read(given.0)?;
    let after: i64 = match &asked.cursor {
        Some(cursor) => cursor.parse().map_err(|_| Problem::invalid("cursor", query::BROKEN_CURSOR))?,
        None => 0,
    };
    let page = list_events::page(&hive, principal.tenant(), after, asked.limit(), Some(id.0)).await?;
    if page.items.is_empty() && !is_stored(&hive, principal.tenant(), id.0).await? {
        return Err(id.not_found());
    }
    ok(&page)
}

/// Events leave by their own retention, so that a task may have none left.
async fn is_stored(hive: &Hive, tenant: TenantId, id: TaskId) -> Result<bool, Problem> {
    Ok(hive.readers.state(tenant, id).await?.is_some())
}
