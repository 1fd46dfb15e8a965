//! `POST /tasks`: a task is accepted, once it is on disk.

use actix_web::HttpRequest;
use protocol::{SubmitTask, TaskView};
use store::outcome::Submitted;

use crate::allowed::{Allowed, ChangeTasks};
use crate::answer::{self, Answer};
use crate::body::{Body, WithInput};
use crate::idempotency;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

const ROUTE: &str = "POST /tasks";

/// `POST /api/v2/tasks`
#[utoipa::path(post, path = "/api/v2/tasks", tag = "tasks", request_body = SubmitTask,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, kept for 24 h")),
    responses(
        (status = 201, description = "Accepted, or accepted before under the same key", body = TaskView,
         headers(("Location", description = "Where the task is shown"),
                 ("Idempotent-Replayed", description = "`true` when it was accepted before"))),
        (status = 429, description = "`queue_full`: as many tasks wait in the queue as may; `rate_limited`")))]
pub(crate) async fn submit_task(
    hive: Hive,
    principal: Allowed<ChangeTasks>,
    http: HttpRequest,
    body: Body<WithInput>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<SubmitTask>(&hive)?;
    let key = idempotency::key(&hive, &principal, &http, ROUTE, body.bytes())?;
    match hive.runtime.submit(&principal.caller, asked, key).await? {
        Submitted::Accepted { record, .. } => {
            answer::task_created(&views::task(*record, &hive.runtime), false)
        }
        Submitted::Replayed(record) => answer::task_created(&views::task(*record, &hive.runtime), true),
        Submitted::KeyMismatch => Err(Problem::IdempotencyMismatch),
        Submitted::UnknownAgent => Err(Problem::invalid("agent_id", "names no agent")),
        Submitted::TooManyLanes => Err(Problem::QueueFull(
            "there are as many combinations of queue, requires and agent_id as there may be".to_owned(),
        )),
    }
}
