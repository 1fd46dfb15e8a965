//! `POST /tasks`: a task is accepted, once it is on disk.

use actix_web::HttpRequest;
use protocol::schemas::IdempotencyKeyText;
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

/// Submit a task.
#[utoipa::path(post, path = "/api/v2/tasks", tag = "tasks", request_body = SubmitTask,
    params(("Idempotency-Key" = Option<IdempotencyKeyText>, Header, description = "1 to 255 visible ASCII characters, kept for 24 h")),
    responses(
        (status = 201, description = "Accepted, or accepted before under the same key", body = TaskView,
         headers(("Location", description = "Where the task is shown"),
                 ("Idempotent-Replayed", description = "`true` when it was accepted before"))),
        (status = 200, description = "This task has the unique key, and `on_conflict` is `return_existing`", body = TaskView,
         headers(("Location", description = "Where the task is shown"))),
        (status = 409, description = "`unique_conflict`: another task has the unique key"),
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
    let submitted = hive.runtime.submit(&principal.caller, asked, key).await?;
    match outcome(&hive, submitted)? {
        (task, Way::New) => answer::task_created(&task, false),
        (task, Way::Replayed) => answer::task_created(&task, true),
        (task, Way::Existing) => answer::task_existing(&task),
    }
}

/// How a task came to be the answer to a submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It was accepted now.
    New,
    /// It was accepted before, for the same request.
    Replayed,
    /// It has the unique key that was asked for.
    Existing,
}

/// The task of a submit.
///
/// # Errors
/// Why there is none.
pub(crate) fn outcome(hive: &Hive, submitted: Submitted) -> Result<(TaskView, Way), Problem> {
    let (record, way) = match submitted {
        Submitted::Accepted { record, .. } => (record, Way::New),
        Submitted::Replayed(record) => (record, Way::Replayed),
        Submitted::Existing(record) => (record, Way::Existing),
        Submitted::UniqueConflict(holder) => return Err(Problem::KeyTaken(holder)),
        Submitted::KeyMismatch => return Err(Problem::IdempotencyMismatch),
        Submitted::QueueFull => return Err(Problem::QueueFull("its queue is full".to_owned())),
        Submitted::UnknownAgent => return Err(Problem::invalid("agent_id", "names no agent")),
        Submitted::TooManyLanes => {
            return Err(Problem::QueueFull(
                "there are as many combinations of queue, requires and agent_id as there may be".to_owned(),
            ));
        }
    };
    Ok((views::task(*record, &hive.runtime), way))
}
