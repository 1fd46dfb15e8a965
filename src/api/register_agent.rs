//! `POST /agents`: an agent is registered.

use actix_web::HttpRequest;
use protocol::{AgentView, RegisterAgent};
use store::outcome::Registered;

use crate::answer::{self, Answer};
use crate::body::{Body, Small};
use crate::idempotency;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

const ROUTE: &str = "POST /agents";

/// `POST /api/v2/agents`
#[utoipa::path(post, path = "/api/v2/agents", tag = "agents", request_body = RegisterAgent,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, kept for 24 h")),
    responses(
        (status = 201, description = "Registered, or registered before under the same key", body = AgentView,
         headers(("Location", description = "Where the agent is shown"),
                 ("Idempotent-Replayed", description = "`true` when it was registered before"))),
        (status = 409, description = "`unique_conflict`: the name is taken")))]
pub(crate) async fn register_agent(
    hive: Hive,
    principal: Principal,
    http: HttpRequest,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<RegisterAgent>(&hive)?;
    let key = idempotency::key(&hive, &principal, &http, ROUTE, body.bytes())?;
    let name = asked.name.clone();
    match hive.runtime.register_agent(&principal.caller, asked, key).await? {
        Registered::Accepted(agent) => answer::agent_created(&views::agent(*agent, &hive), false),
        Registered::Replayed(agent) => answer::agent_created(&views::agent(*agent, &hive), true),
        Registered::KeyMismatch => Err(Problem::IdempotencyMismatch),
        Registered::NameTaken => Err(Problem::NameTaken(name.to_string())),
    }
}
