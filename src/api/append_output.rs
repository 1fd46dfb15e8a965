//! `POST /tasks/{id}/output`: a piece of what the attempt writes.

use domain::TaskId;
use protocol::schemas::TaskIdText;
use protocol::{OutputAnswer, OutputRequest};
use runtime::OutputPiece;
use store::outcome::Appended;

use crate::allowed::{Allowed, Work};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// Write output of an attempt.
#[utoipa::path(post, path = "/api/v2/tasks/{id}/output", tag = "work", request_body = OutputRequest,
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "Stored, as far as the limit allows", body = OutputAnswer),
              (status = 409, description = "`stale_lease`: the attempt does not hold the task any more")))]
pub(crate) async fn append_output(
    hive: Hive,
    principal: Allowed<Work>,
    id: Named<TaskId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<OutputRequest>(&hive)?;
    let piece = OutputPiece { text: asked.text, after_bytes: asked.after_bytes };
    match hive.runtime.append_output(&principal.caller, id.0, asked.attempt, piece).await? {
        Appended::Done { stored_bytes, is_truncated } => {
            ok(&OutputAnswer { stored_bytes, truncated: is_truncated })
        }
        Appended::Stale => Err(Problem::StaleLease { attempt: asked.attempt }),
        Appended::NotFound => Err(id.not_found()),
    }
}
