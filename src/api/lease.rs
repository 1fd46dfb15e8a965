//! `POST /agents/{id}/lease`: a worker takes assignments, or waits for some.
//!
//! A client that closes its side may be gone: its call ends with nothing, and an unaccepted grant hands everything back.

use std::time::Duration;

use domain::AgentId;
use protocol::schemas::AgentIdText;
use protocol::{LeaseAnswer, LeaseRequest};
use runtime::LeaseCall;

use crate::allowed::{Allowed, Work};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::connection::Client;
use crate::path::Named;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Lease assignments.
#[utoipa::path(post, path = "/api/v2/agents/{id}/lease", tag = "work", request_body = Option<LeaseRequest>,
    params(("id" = AgentIdText, Path, description = "The agent")),
    responses((status = 200, description = "Assignments; none when there was nothing in time", body = LeaseAnswer),
              (status = 409, description = "`state_conflict`: the hive starts this agent's processes itself")))]
pub(crate) async fn lease(
    hive: Hive,
    principal: Allowed<Work>,
    (id, client): (Named<AgentId>, Client),
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read_or_default::<LeaseRequest>(&hive)?;
    // Waiting must not hold a share of the bodies' budget.
    drop(body);
    let call = LeaseCall {
        max: asked.max,
        wait: Duration::from_millis(asked.wait_ms),
        worker_instance: asked.worker_instance,
    };
    let grant = tokio::select! {
        biased;
        () = client.closed() => return ok(&LeaseAnswer { assignments: Vec::new() }),
        grant = hive.runtime.lease(&principal.caller, id.0, call) => grant?.ok_or_else(|| id.not_found())?,
    };
    // A key that was removed while its call waited gets nothing; what is dropped here goes back.
    if !principal.still_opens(&hive) {
        return Err(Problem::Unauthorized);
    }
    let assignments = grant.accept_call().into_iter().map(views::assignment).collect::<Result<_, _>>()?;
    ok(&LeaseAnswer { assignments })
}
