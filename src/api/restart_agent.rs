//! `POST /agents/{id}/restart`: the agent's actor begins anew; its assignments stay.

use domain::AgentId;
use protocol::AgentView;
use protocol::schemas::AgentIdText;

use crate::allowed::{Allowed, ManageAgents};
use crate::answer::{Answer, ok};
use crate::patch_agent::demand_kind;
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Restart an agent's actor.
#[utoipa::path(post, path = "/api/v2/agents/{id}/restart", tag = "agents",
    params(("id" = AgentIdText, Path, description = "The agent")),
    responses((status = 200, description = "Its actor was told to begin anew", body = AgentView)))]
pub(crate) async fn restart_agent(
    hive: Hive,
    principal: Allowed<ManageAgents>,
    id: Named<AgentId>,
    _: NoQuery,
) -> Answer {
    demand_kind(&hive, &principal, &id).await?;
    if !hive.runtime.restart_agent(&principal.caller, id.0).await? {
        return Err(id.not_found());
    }
    let found = hive.readers.agent(principal.tenant(), id.0).await?;
    ok(&views::agent(found.ok_or_else(|| id.not_found())?, &hive))
}
