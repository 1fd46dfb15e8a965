//! `GET /agents/{id}`: one agent.

use domain::AgentId;
use protocol::AgentView;
use protocol::schemas::AgentIdText;

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Show an agent.
#[utoipa::path(get, path = "/api/v2/agents/{id}", tag = "agents",
    params(("id" = AgentIdText, Path, description = "The agent")),
    responses((status = 200, description = "As it stands now", body = AgentView)))]
pub(crate) async fn show_agent(
    hive: Hive,
    principal: Allowed<ReadHive>,
    id: Named<AgentId>,
    _: NoQuery,
) -> Answer {
    hive.runtime.settled().await;
    let found = hive.readers.agent(principal.tenant(), id.0).await?;
    ok(&views::agent(found.ok_or_else(|| id.not_found())?, &hive))
}
