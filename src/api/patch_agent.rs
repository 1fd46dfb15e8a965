//! `PATCH /agents/{id}`: another role, other capabilities, capacity or labels, and of a process another way to start it.

use domain::{Agent, AgentId, AgentPatch, Link, NewAgent};
use protocol::schemas::AgentIdText;
use protocol::{AgentChangeAsked, AgentView, PatchAgent};
use store::command::AgentEdit;
use store::outcome::AgentChange;

use crate::allowed::{Allowed, ManageAgents, RunCommands};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Change an agent.
#[utoipa::path(patch, path = "/api/v2/agents/{id}", tag = "agents", request_body = PatchAgent,
    params(("id" = AgentIdText, Path, description = "The agent")),
    responses((status = 200, description = "As it stands now", body = AgentView),
              (status = 403, description = "`forbidden`: a process agent needs the admin role")))]
pub(crate) async fn patch_agent(
    hive: Hive,
    principal: Allowed<ManageAgents>,
    id: Named<AgentId>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<PatchAgent>(&hive)?;
    for _ in 0..ROUNDS_MAX {
        let present = hive.readers.agent(principal.tenant(), id.0).await?.ok_or_else(|| id.not_found())?;
        let edit = whole(&hive, &principal, asked.clone(), present.asked)?;
        if let Some(agent) = changed(&hive, &principal, &id, edit).await? {
            return ok(&views::agent(agent, &hive));
        }
    }
    Err(Problem::Overloaded)
}

/// How often a patch is made anew because another one came between.
const ROUNDS_MAX: u32 = 20;

/// The patch with the whole link that follows from the present one. What is not named of it stays, the values of its
/// environment included. It holds for the agent as it is now and no other: patches at the same time add up.
fn whole(
    hive: &Hive,
    principal: &Principal,
    asked: AgentChangeAsked,
    present: NewAgent,
) -> Result<AgentEdit, Problem> {
    let AgentChangeAsked { patch, link: edit } = asked;
    let present_link = match (present.link.clone(), edit) {
        (Link::Worker, None) => return Ok(AgentEdit::Patch { patch, seen: None }),
        (Link::Worker, Some(_)) => {
            return Err(Problem::invalid("link", "only changes of a process agent; this one is a worker"));
        }
        (Link::Process(link), edit) => (link, edit),
    };
    principal.demand::<RunCommands>()?;
    let link = match present_link {
        (_, None) => None,
        (link, Some(edit)) => Some(Link::Process(Box::new(hive.runtime.edit_link(*link, edit)?))),
    };
    let capacity = patch.capacity.unwrap_or(present.capacity);
    let seen = Some(Box::new(present.clone()));
    NewAgent { capacity, link: link.clone().unwrap_or(present.link), ..present }.review()?;
    Ok(AgentEdit::Patch { patch: AgentPatch { link, ..patch }, seen })
}

/// Refuses those who may steer workers only, where the agent is a process. An agent's kind never changes and its id never
/// comes again, so what is found here still holds when the agent is changed.
///
/// # Errors
/// When it is a process and the principal may not run commands, or there is no such agent.
pub(crate) async fn demand_kind(
    hive: &Hive,
    principal: &Principal,
    id: &Named<AgentId>,
) -> Result<(), Problem> {
    if principal.may::<RunCommands>() {
        return Ok(());
    }
    let agent = hive.readers.agent(principal.tenant(), id.0).await?.ok_or_else(|| id.not_found())?;
    if agent.asked.link.process().is_some() { principal.demand::<RunCommands>() } else { Ok(()) }
}

/// Changes an agent in one way; answers how it stands now.
///
/// # Errors
/// When there is no such agent, or it is a process and the principal may not run commands.
pub(crate) async fn change(
    hive: &Hive,
    principal: &Principal,
    id: &Named<AgentId>,
    edit: AgentEdit,
) -> Result<Agent, Problem> {
    demand_kind(hive, principal, id).await?;
    changed(hive, principal, id, edit).await?.ok_or(Problem::Overloaded)
}

/// As [`change`]; `None` when the agent is not as the edit has seen it.
async fn changed(
    hive: &Hive,
    principal: &Principal,
    id: &Named<AgentId>,
    edit: AgentEdit,
) -> Result<Option<Agent>, Problem> {
    match hive.runtime.change_agent(&principal.caller, id.0, edit).await? {
        AgentChange::Done(agent) => Ok(Some(*agent)),
        AgentChange::Superseded => Ok(None),
        AgentChange::NotFound => Err(id.not_found()),
    }
}
