//! `POST /agents/{id}/drain`: an agent takes nothing new and finishes what runs.

use domain::AgentId;
use protocol::AgentView;
use protocol::schemas::AgentIdText;
use store::command::AgentEdit;

use crate::allowed::{Allowed, ManageAgents};
use crate::answer::{Answer, ok};
use crate::patch_agent::change;
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Drain an agent.
#[utoipa::path(post, path = "/api/v2/agents/{id}/drain", tag = "agents",
    params(("id" = AgentIdText, Path, description = "The agent")),
    responses((status = 200, description = "As it stands now; a repeat answers the same", body = AgentView)))]
pub(crate) async fn drain_agent(
    hive: Hive,
    principal: Allowed<ManageAgents>,
    id: Named<AgentId>,
    _: NoQuery,
) -> Answer {
    let agent = change(&hive, &principal, &id, AgentEdit::Drain(true)).await?;
    ok(&views::agent(agent, &hive))
}
