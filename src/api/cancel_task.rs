//! `POST /tasks/{id}/cancel`: asked, or with force at once.

use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{CancelTask, TaskView};
use store::outcome::Canceled;

use crate::allowed::{Allowed, ChangeTasks};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Cancel a task.
#[utoipa::path(post, path = "/api/v2/tasks/{id}/cancel", tag = "tasks", request_body = Option<CancelTask>,
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "Canceled, or its holder is asked to end", body = TaskView),
              (status = 409, description = "`state_conflict`: it is completed or failed")))]
pub(crate) async fn cancel_task(
    hive: Hive,
    principal: Allowed<ChangeTasks>,
    id: Named<TaskId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read_or_default::<CancelTask>(&hive)?;
    match hive.runtime.cancel(&principal.caller, id.0, asked.force).await? {
        Canceled::Done(record) => ok(&views::task(*record, &hive.runtime)),
        Canceled::Conflict(state) => Err(Problem::StateConflict(state)),
        Canceled::NotFound => Err(id.not_found()),
    }
}
