//! `DELETE /agents/{id}`: an agent goes; what it works on keeps its leases.

use actix_web::HttpResponse;
use domain::AgentId;
use protocol::schemas::AgentIdText;
use store::command::AgentEdit;

use crate::allowed::{Allowed, ManageAgents};
use crate::answer::Answer;
use crate::patch_agent::change;
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;

/// Remove an agent.
#[utoipa::path(delete, path = "/api/v2/agents/{id}", tag = "agents",
    params(("id" = AgentIdText, Path, description = "The agent")),
    responses((status = 204, description = "It is gone; its working attempts keep their leases")))]
pub(crate) async fn remove_agent(
    hive: Hive,
    principal: Allowed<ManageAgents>,
    id: Named<AgentId>,
    _: NoQuery,
) -> Answer {
    change(&hive, &principal, &id, AgentEdit::Remove).await?;
    Ok(HttpResponse::NoContent().finish())
}
