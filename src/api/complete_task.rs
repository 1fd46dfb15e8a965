//! `POST /tasks/{id}/complete`: the holder reports success.

use domain::{TaskId, TaskState};
use protocol::report::ReportAsked;
use protocol::schemas::TaskIdText;
use protocol::{CompleteRequest, FinishAnswer};
use store::outcome::Finished;

use crate::allowed::{Allowed, Work};
use crate::answer::{Answer, ok};
use crate::body::{Body, WithResult};
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// Report success.
#[utoipa::path(post, path = "/api/v2/tasks/{id}/complete", tag = "work", request_body = CompleteRequest,
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "Where the task stands now; a repeat answers the same", body = FinishAnswer),
              (status = 409, description = "`stale_lease`: the attempt does not hold the task any more")))]
pub(crate) async fn complete_task(
    hive: Hive,
    principal: Allowed<Work>,
    id: Named<TaskId>,
    body: Body<WithResult>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<CompleteRequest>(&hive)?;
    ok(&FinishAnswer { state: finish(&hive, &principal, id.0, asked).await? })
}

/// Reports the end of an attempt; answers where the task stands now.
///
/// # Errors
/// When the attempt does not hold the task, or there is no such task.
pub(crate) async fn finish(
    hive: &Hive,
    principal: &Principal,
    task: TaskId,
    asked: ReportAsked,
) -> Result<TaskState, Problem> {
    let attempt = asked.attempt;
    match hive.runtime.finish(&principal.caller, task, attempt, asked.report).await? {
        Finished::Done { state } | Finished::Repeated { state } => Ok(state),
        Finished::Stale => Err(Problem::StaleLease { attempt }),
        Finished::NotFound => Err(Problem::not_found("task", task)),
    }
}
