//! `POST /tasks/{id}/fail`: the holder reports failure.

use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{FailRequest, FinishAnswer};

use crate::allowed::{Allowed, Work};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::complete_task::finish;
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;

/// Report failure.
#[utoipa::path(post, path = "/api/v2/tasks/{id}/fail", tag = "work", request_body = FailRequest,
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "Where the task stands now; a repeat answers the same", body = FinishAnswer),
              (status = 409, description = "`stale_lease`: the attempt does not hold the task any more")))]
pub(crate) async fn fail_task(
    hive: Hive,
    principal: Allowed<Work>,
    id: Named<TaskId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<FailRequest>(&hive)?;
    ok(&FinishAnswer { state: finish(&hive, &principal, id.0, asked).await? })
}
