//! `GET /tasks/{id}`: one task, with input and result.

use domain::{TaskId, TaskState};
use protocol::TaskView;
use protocol::schemas::TaskIdText;
use serde_json::value::RawValue;
use store::record::TaskRecord;

use crate::allowed::{Allowed, ReadTask};
use crate::answer::{Answer, ok};
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Show a task.
#[utoipa::path(get, path = "/api/v2/tasks/{id}", tag = "tasks", params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "With input (null when it has none) and result", body = TaskView)))]
pub(crate) async fn show_task(
    hive: Hive,
    principal: Allowed<ReadTask>,
    id: Named<TaskId>,
    _: NoQuery,
) -> Answer {
    let found = hive.readers.task(principal.tenant(), id.0).await?;
    // Of an agent's key it is the agent's task as long as that works on it.
    let is_theirs = |record: &TaskRecord| {
        principal
            .agent()
            .is_none_or(|own| record.status.state == TaskState::Working && record.agent == Some(own))
    };
    let detail = found.filter(|detail| is_theirs(&detail.record)).ok_or_else(|| id.not_found())?;
    let mut view = views::task(detail.record, &hive.runtime);
    view.input = Some(match detail.input.as_deref() {
        Some(input) => views::raw(input)?,
        None => RawValue::NULL.to_owned(),
    });
    view.result = detail.result.as_deref().map(views::raw).transpose()?;
    ok(&view)
}
