//! `POST /leases/complete`: many attempts end, each with its own answer.

use actix_web::HttpRequest;
use domain::{TaskId, TaskState};
use futures_util::future::join_all;
use protocol::{FinishItem, FinishMany, FinishedItem, Items, Request};

use crate::allowed::{Allowed, Work};
use crate::answer::{Answer, ok};
use crate::body::{Body, Bulk};
use crate::complete_task::finish;
use crate::path;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// Report the end of many attempts.
#[utoipa::path(post, path = "/api/v2/leases/complete", tag = "work", request_body = FinishMany,
    responses((status = 200, description = "One answer an item, in the order of the request", body = Items<FinishedItem>)))]
pub(crate) async fn complete_leases(
    hive: Hive,
    principal: Allowed<Work>,
    http: HttpRequest,
    body: Body<Bulk>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<FinishMany>(&hive)?;
    // All at once, so that they share a commit.
    let answers = asked.into_iter().map(|item| answer(&hive, &principal, http.path(), item));
    ok(&Items { items: join_all(answers).await })
}

async fn answer(hive: &Hive, principal: &Principal, instance: &str, mut item: FinishItem) -> FinishedItem {
    let (task_id, attempt) = (std::mem::take(&mut item.task_id), item.attempt);
    match one(hive, principal, &task_id, item).await {
        Ok(state) => FinishedItem { task_id, attempt, status: 200, state: Some(state), problem: None },
        Err(problem) => FinishedItem {
            task_id,
            attempt,
            status: problem.status().as_u16(),
            state: None,
            problem: Some(problem.details(instance, &principal.caller.correlation_id)),
        },
    }
}

async fn one(
    hive: &Hive,
    principal: &Principal,
    task_id: &str,
    item: FinishItem,
) -> Result<TaskState, Problem> {
    let asked = item.check(hive.runtime.limits())?;
    finish(hive, principal, path::read::<TaskId>(task_id)?, asked).await
}
