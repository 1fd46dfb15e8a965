//! `GET /events?after=seq`: the log, page by page.

use domain::{TaskId, TenantId};
use protocol::{EventQuery, EventView, Page};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// Read the log.
#[utoipa::path(get, path = "/api/v2/events", tag = "events", params(EventQuery),
    responses((status = 200, description = "The oldest first. At the end of the log `next_cursor` is null; go on with \
        `after` and the last `seq` you have", body = Page<EventView>)))]
pub(crate) async fn list_events(hive: Hive, principal: Allowed<ReadHive>, given: Given) -> Answer {
    let asked = EventQuery::read(given.0)?;
    ok(&page(&hive, principal.tenant(), asked.after(), asked.limit(), None).await?)
}

/// Up to `limit` events after `after`; the cursor is the `seq` of the last one, when more follow.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn page(
    hive: &Hive,
    tenant: TenantId,
    after: i64,
    limit: u32,
    task: Option<TaskId>,
) -> Result<Page<EventView>, Problem> {
    let records = hive.readers.events(tenant, after, limit.saturating_add(1), task).await?;
    let items = records.into_iter().map(views::event).collect::<Result<Vec<_>, _>>()?;
    Ok(crate::answer::page(items.into_iter(), limit, |event| event.seq.to_string(), None))
}
