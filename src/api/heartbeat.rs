//! `POST /tasks/{id}/heartbeat`: a sign of life that renews the lease.

use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{HeartbeatAnswer, HeartbeatRequest};
use runtime::ProgressReport;
use store::outcome::Renewed;

use crate::allowed::{Allowed, Work};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// Renew a lease.
#[utoipa::path(post, path = "/api/v2/tasks/{id}/heartbeat", tag = "work", request_body = HeartbeatRequest,
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "The stored expiry of the lease", body = HeartbeatAnswer),
              (status = 409, description = "`stale_lease`: the attempt does not hold the task any more")))]
pub(crate) async fn heartbeat(
    hive: Hive,
    principal: Allowed<Work>,
    id: Named<TaskId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<HeartbeatRequest>(&hive)?;
    let progress = ProgressReport { fraction: asked.progress, message: asked.message, usage: asked.usage };
    match hive.runtime.heartbeat(&principal.caller, id.0, asked.attempt, progress).await? {
        Renewed::Until { lease_expires_at, is_cancel_requested } => {
            ok(&HeartbeatAnswer { lease_expires_at, cancel_requested: is_cancel_requested })
        }
        Renewed::Stale => Err(Problem::StaleLease { attempt: asked.attempt }),
        Renewed::NotFound => Err(id.not_found()),
    }
}
