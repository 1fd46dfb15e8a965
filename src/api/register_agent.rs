//! `POST /agents`: an agent is registered; one that is a process by an admin only, with its preset and program looked up.

use actix_web::HttpRequest;
use domain::{Link, NewAgent};
use protocol::schemas::IdempotencyKeyText;
use protocol::{AgentAsked, AgentView, LinkAsked, RegisterAgent};
use store::outcome::Registered;

use crate::allowed::{Allowed, ManageAgents, RunCommands};
use crate::answer::{self, Answer};
use crate::body::{Body, Small};
use crate::idempotency;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

const ROUTE: &str = "POST /agents";

/// Register an agent.
#[utoipa::path(post, path = "/api/v2/agents", tag = "agents", request_body = RegisterAgent,
    params(("Idempotency-Key" = Option<IdempotencyKeyText>, Header, description = "1 to 255 visible ASCII characters, kept for 24 h")),
    responses(
        (status = 201, description = "Registered, or registered before under the same key", body = AgentView,
         headers(("Location", description = "Where the agent is shown"),
                 ("Idempotent-Replayed", description = "`true` when it was registered before"))),
        (status = 403, description = "`forbidden`: a process agent needs the admin role"),
        (status = 409, description = "`unique_conflict`: the name is taken")))]
pub(crate) async fn register_agent(
    hive: Hive,
    principal: Allowed<ManageAgents>,
    http: HttpRequest,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = found(&hive, &principal, body.read::<RegisterAgent>(&hive)?)?;
    let key = idempotency::key(&hive, &principal, &http, ROUTE, body.bytes())?;
    let name = asked.name.clone();
    match hive.runtime.register_agent(&principal.caller, asked, key).await? {
        Registered::Accepted(agent) => answer::agent_created(&views::agent(*agent, &hive), false),
        Registered::Replayed(agent) => answer::agent_created(&views::agent(*agent, &hive), true),
        Registered::KeyMismatch => Err(Problem::IdempotencyMismatch),
        Registered::NameTaken => Err(Problem::NameTaken(name.to_string())),
    }
}

/// The agent with its link as it will be stored: preset and command put together, the program found.
fn found(hive: &Hive, principal: &Principal, mut asked: AgentAsked) -> Result<NewAgent, Problem> {
    let link = match std::mem::replace(&mut asked.link, LinkAsked::Worker) {
        LinkAsked::Worker => Link::Worker,
        LinkAsked::Process { preset, edit } => {
            principal.demand::<RunCommands>()?;
            Link::Process(Box::new(hive.runtime.resolve_link(preset.as_ref(), *edit)?))
        }
    };
    let agent = asked.with_link(link);
    agent.review()?;
    Ok(agent)
}
