//! `PATCH /tasks/{id}`: another priority, other labels.

use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{PatchTask, TaskView};
use store::outcome::Patched;

use crate::allowed::{Allowed, ChangeTasks};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Change a task.
#[utoipa::path(patch, path = "/api/v2/tasks/{id}", tag = "tasks", request_body = PatchTask,
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "As it stands now", body = TaskView),
              (status = 409, description = "`state_conflict`: it is terminal")))]
pub(crate) async fn patch_task(
    hive: Hive,
    principal: Allowed<ChangeTasks>,
    id: Named<TaskId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<PatchTask>(&hive)?;
    match hive.runtime.patch_task(&principal.caller, id.0, asked.priority, asked.labels).await? {
        Patched::Done(record) => ok(&views::task(*record, &hive.runtime)),
        Patched::Conflict(state) => Err(Problem::StateConflict(state)),
        Patched::NotFound => Err(id.not_found()),
    }
}
