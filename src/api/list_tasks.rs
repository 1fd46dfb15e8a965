//! `GET /tasks`: a page of tasks, newest first.

use domain::{Name, TaskState, TenantId};
use feed::Projection;
use protocol::{Page, TaskQuery, TaskView};
use store::record::TaskFilter;

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// List tasks.
#[utoipa::path(get, path = "/api/v2/tasks", tag = "tasks", params(TaskQuery),
    responses((status = 200, description = "Newest first, without input and result", body = Page<TaskView>)))]
pub(crate) async fn list_tasks(hive: Hive, principal: Allowed<ReadHive>, given: Given) -> Answer {
    ok(&list(&hive, principal.tenant(), TaskQuery::read(given.0)?).await?)
}

/// A page of what `query` asks for.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn list(hive: &Hive, tenant: TenantId, query: TaskQuery) -> Result<Page<TaskView>, Problem> {
    let limit = query.limit();
    hive.runtime.settled().await;
    let total_estimate = hive.feed.read(|projection| estimate(projection, tenant, &query));
    let before = query.cursor;
    let filter = TaskFilter {
        state: query.state,
        queue: query.queue,
        agent: query.agent_id,
        kind: query.kind,
        labels: query.label,
        created_after: query.created_after,
        created_before: query.created_before,
    };
    let page = hive.readers.tasks(tenant, filter, before, limit).await?;
    Ok(Page {
        items: page.items.into_iter().map(|record| views::task(record, &hive.runtime)).collect(),
        next_cursor: page.next_before.map(|id| id.to_string()),
        total_estimate,
    })
}

/// How many tasks there are, where the projection knows that exactly: by state, by queue while they wait or work.
fn estimate(projection: &Projection, tenant: TenantId, query: &TaskQuery) -> Option<u64> {
    let is_plain = query.agent_id.is_none()
        && query.kind.is_none()
        && query.label.is_empty()
        && query.created_after.is_none()
        && query.created_before.is_none();
    match (is_plain, &query.queue, query.state) {
        (false, _, _) | (true, Some(_), None) => None,
        (true, None, None) => Some(projection.totals().total()),
        (true, None, Some(state)) => Some(projection.totals().of(state)),
        (true, Some(queue), Some(state)) => in_queue(projection, tenant, queue, state),
    }
}

/// Terminal tasks of a queue are counted over all the log, also those that retention has removed.
fn in_queue(projection: &Projection, tenant: TenantId, queue: &Name, state: TaskState) -> Option<u64> {
    if state.is_terminal() {
        return None;
    }
    Some(projection.queue(tenant, queue).counts.of(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_told_only_where_it_is_exact() {
        let projection = Projection::default();
        let told = |query: TaskQuery| estimate(&projection, TenantId::DEFAULT, &query);
        let (queue, state) = ("q".parse().ok(), Some(TaskState::Queued));
        assert_eq!(told(TaskQuery::default()), Some(0));
        assert_eq!(told(TaskQuery { state, ..TaskQuery::default() }), Some(0));
        assert_eq!(told(TaskQuery { queue: queue.clone(), state, ..TaskQuery::default() }), Some(0));
        assert_eq!(told(TaskQuery { queue: queue.clone(), ..TaskQuery::default() }), None);
        let failed = Some(TaskState::Failed);
        assert_eq!(told(TaskQuery { queue, state: failed, ..TaskQuery::default() }), None);
        assert_eq!(told(TaskQuery { kind: "k".parse().ok(), state, ..TaskQuery::default() }), None);
    }
}
