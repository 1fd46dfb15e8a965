//! `PATCH /agents/{id}`: another role, other capabilities, capacity or labels.

use domain::{Agent, AgentId};
use protocol::{AgentView, PatchAgent};
use store::command::AgentEdit;
use store::outcome::AgentChange;

use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// `PATCH /api/v2/agents/{id}`
#[utoipa::path(patch, path = "/api/v2/agents/{id}", tag = "agents", request_body = PatchAgent,
    params(("id" = String, Path, description = "The agent")),
    responses((status = 200, description = "As it stands now", body = AgentView)))]
pub(crate) async fn patch_agent(
    hive: Hive,
    principal: Principal,
    id: Named<AgentId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let patch = body.read::<PatchAgent>(&hive)?;
    let agent = change(&hive, &principal, &id, AgentEdit::Patch(patch)).await?;
    ok(&views::agent(agent, &hive))
}

/// Changes an agent in one way; answers how it stands now.
///
/// # Errors
/// When there is no such agent.
pub(crate) async fn change(
    hive: &Hive,
    principal: &Principal,
    id: &Named<AgentId>,
    edit: AgentEdit,
) -> Result<Agent, Problem> {
    match hive.runtime.change_agent(&principal.caller, id.0, edit).await? {
        AgentChange::Done(agent) => Ok(*agent),
        AgentChange::NotFound => Err(id.not_found()),
    }
}
