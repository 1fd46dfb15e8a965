//! `POST /tasks/{id}/retry`: a dead letter is put back.

use domain::TaskId;
use protocol::TaskView;
use protocol::schemas::TaskIdText;

use crate::allowed::{Allowed, ChangeTasks};
use crate::answer::{Answer, ok};
use crate::path::Named;
use crate::query::NoQuery;
use crate::redrive;
use crate::state::Hive;

/// Put a dead letter back.
#[utoipa::path(post, path = "/api/v2/tasks/{id}/retry", tag = "tasks",
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "Queued again", body = TaskView),
              (status = 409, description = "`state_conflict`: it is not failed")))]
pub(crate) async fn retry_task(
    hive: Hive,
    principal: Allowed<ChangeTasks>,
    id: Named<TaskId>,
    _: NoQuery,
) -> Answer {
    ok(&redrive::one(&hive, &principal, id.0).await?)
}
