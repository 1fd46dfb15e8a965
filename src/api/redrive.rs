//! `POST /dead-letters/redrive`: many dead letters are put back, each with its own answer.

use actix_web::HttpRequest;
use domain::TaskId;
use futures_util::future::join_all;
use protocol::{Items, Redrive, RedrivenItem, TaskView};
use store::outcome::Redriven;

use crate::allowed::{Allowed, ChangeTasks};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Put dead letters back.
#[utoipa::path(post, path = "/api/v2/dead-letters/redrive", tag = "dead letters", request_body = Redrive,
    responses((status = 200, description = "One answer a task, in the order of the request", body = Items<RedrivenItem>)))]
pub(crate) async fn redrive(
    hive: Hive,
    principal: Allowed<ChangeTasks>,
    http: HttpRequest,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<Redrive>(&hive)?;
    // All at once, so that they share a commit.
    let answers = asked.into_iter().map(|text| item(&hive, &principal, http.path(), text));
    ok(&Items { items: join_all(answers).await })
}

async fn item(hive: &Hive, principal: &Principal, instance: &str, task_id: String) -> RedrivenItem {
    let answered = match path::read::<TaskId>(&task_id) {
        Ok(id) => one(hive, principal, id).await,
        Err(problem) => Err(problem),
    };
    match answered {
        Ok(task) => RedrivenItem { task_id, status: 200, task: Some(task), problem: None },
        Err(problem) => RedrivenItem {
            task_id,
            status: problem.status().as_u16(),
            task: None,
            problem: Some(problem.details(instance, &principal.caller.correlation_id)),
        },
    }
}

/// Puts one dead letter back.
///
/// # Errors
/// When it is not a dead letter, or there is no such task.
pub(crate) async fn one(hive: &Hive, principal: &Principal, id: TaskId) -> Result<TaskView, Problem> {
    match hive.runtime.redrive(&principal.caller, id).await? {
        Redriven::Done(record) => Ok(views::task(*record, &hive.runtime)),
        Redriven::Conflict(state) => Err(Problem::StateConflict(state)),
        Redriven::UniqueConflict(holder) => Err(Problem::KeyTaken(holder)),
        Redriven::NotFound => Err(Problem::not_found("task", id)),
    }
}
