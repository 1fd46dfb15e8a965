//! `POST /tasks/bulk`: many tasks are accepted in one commit, each with its own answer.

use actix_web::{HttpRequest, HttpResponse};
use protocol::schemas::IdempotencyKeyText;
use protocol::{Items, Request, SubmitMany, SubmittedItem, TaskView};

use crate::allowed::{Allowed, ChangeTasks};
use crate::answer::{self, Answer};
use crate::body::{Body, Bulk};
use crate::idempotency;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::submit_task::{Way, outcome};

const ROUTE: &str = "POST /tasks/bulk";

/// Submit many tasks.
#[utoipa::path(post, path = "/api/v2/tasks/bulk", tag = "tasks", request_body = SubmitMany,
    params(("Idempotency-Key" = Option<IdempotencyKeyText>, Header, description = "1 to 255 visible ASCII characters, kept for 24 h; of all tasks together")),
    responses((status = 200, description = "One answer a task, in the order of the request; all that are accepted are in one commit",
        body = Items<SubmittedItem>,
        headers(("Idempotent-Replayed", description = "`true` when every accepted task was accepted before")))))]
pub(crate) async fn submit_many(
    hive: Hive,
    principal: Allowed<ChangeTasks>,
    http: HttpRequest,
    body: Body<Bulk>,
    _: NoQuery,
) -> Answer {
    let key = idempotency::key(&hive, &principal, &http, ROUTE, body.bytes())?;
    let asked = body.read::<SubmitMany>(&hive)?;
    let (mut answers, mut accepted) = (Vec::with_capacity(asked.len()), Vec::new());
    for (place, task) in asked.into_iter().enumerate() {
        match task.check(hive.runtime.limits()) {
            Ok(task) => {
                accepted.push((task, key.map(|key| idempotency::of_item(key, place))));
                answers.push(None);
            }
            Err(violations) => answers.push(Some(Err(Problem::from(violations)))),
        }
    }
    let submitted = hive.runtime.submit_many(&principal.caller, accepted).await?;
    let mut submitted = submitted.into_iter().map(|one| outcome(&hive, one?));
    let answers: Vec<_> = answers
        .into_iter()
        .map(|refused| refused.or_else(|| submitted.next()).unwrap_or(Err(Problem::Overloaded)))
        .collect();
    let are_replayed = replayed(&answers);
    let correlation_id = &principal.caller.correlation_id;
    let items = answers.into_iter().map(|answer| item(answer, http.path(), correlation_id)).collect();
    let mut answer: HttpResponse = answer::ok(&Items { items })?;
    if are_replayed {
        answer::mark_replayed(&mut answer);
    }
    Ok(answer)
}

fn replayed(answers: &[Result<(TaskView, Way), Problem>]) -> bool {
    let mut ways = answers.iter().flatten().map(|(_, way)| *way).peekable();
    ways.peek().is_some() && ways.all(|way| way == Way::Replayed)
}

fn item(answer: Result<(TaskView, Way), Problem>, instance: &str, correlation_id: &str) -> SubmittedItem {
    match answer {
        Ok((task, way)) => {
            let status = if way == Way::Existing { 200 } else { 201 };
            SubmittedItem { status, task: Some(task), problem: None }
        }
        Err(problem) => SubmittedItem {
            status: problem.status().as_u16(),
            task: None,
            problem: Some(problem.details(instance, correlation_id)),
        },
    }
}
