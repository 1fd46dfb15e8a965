//! `GET /agents`: a page of agents, newest first.

use domain::AgentId;
use protocol::{AgentView, Page, PageQuery, query};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{self, Answer, ok};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// List agents.
#[utoipa::path(get, path = "/api/v2/agents", tag = "agents", params(PageQuery),
    responses((status = 200, description = "Newest first", body = Page<AgentView>)))]
pub(crate) async fn list_agents(hive: Hive, principal: Allowed<ReadHive>, given: Given) -> Answer {
    let asked = PageQuery::read(given.0)?;
    let before: AgentId = match &asked.cursor {
        Some(cursor) => cursor.parse().map_err(|_| Problem::invalid("cursor", query::BROKEN_CURSOR))?,
        None => AgentId::from_raw(i64::MAX),
    };
    hive.runtime.settled().await;
    let mut agents = hive.readers.agents(principal.tenant()).await?;
    let total = u64::try_from(agents.len()).ok();
    agents.sort_unstable_by_key(|agent| std::cmp::Reverse(agent.id));
    let rest = agents.into_iter().filter(|agent| agent.id < before).map(|agent| views::agent(agent, &hive));
    ok(&answer::page(rest, asked.limit(), |view| view.id.to_string(), total))
}
