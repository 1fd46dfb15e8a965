//! Agents, API keys and queues: few, read whole.

use diesel::prelude::*;
use domain::{Agent, AgentId, ApiKey, TenantId};

use super::Session;
use crate::record::QueueRecord;
use crate::sql::agent_row::AgentRow;
use crate::sql::api_key_row::ApiKeyRow;
use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::schema::{agents, api_keys, queues};

/// Agents of one tenant or of all, oldest first; removed ones are not shown.
pub(crate) fn agents(session: &mut Session<'_>, tenant: Option<TenantId>) -> Result<Vec<Agent>, Failure> {
    let all = agents::table.filter(agents::removed_at.is_null()).order(agents::id);
    let rows: Vec<AgentRow> = match tenant {
        Some(tenant) => session.conn.load(all.filter(agents::tenant_id.eq(tenant.0)))?,
        None => session.conn.load(all)?,
    };
    rows.into_iter().map(AgentRow::understood).collect()
}

/// One agent of a tenant.
pub(crate) fn agent(
    session: &mut Session<'_>,
    tenant: TenantId,
    id: AgentId,
) -> Result<Option<Agent>, Failure> {
    let row = AgentRow::load(session.conn, id)?;
    row.filter(|row| row.is_of(tenant) && !row.is_removed()).map(AgentRow::understood).transpose()
}

/// API keys of one tenant or of all, oldest first.
pub(crate) fn api_keys(session: &mut Session<'_>, tenant: Option<TenantId>) -> Result<Vec<ApiKey>, Failure> {
    let all = api_keys::table.order(api_keys::id);
    let rows: Vec<ApiKeyRow> = match tenant {
        Some(tenant) => session.conn.load(all.filter(api_keys::tenant_id.eq(tenant.0)))?,
        None => session.conn.load(all)?,
    };
    rows.into_iter().map(ApiKeyRow::understood).collect()
}

/// What is stored of the queues of one tenant or of all, by name.
pub(crate) fn queues(
    session: &mut Session<'_>,
    tenant: Option<TenantId>,
) -> Result<Vec<QueueRecord>, Failure> {
    let all = queues::table.order((queues::tenant_id, queues::name));
    let rows: Vec<(i64, String, bool, Option<i32>)> = match tenant {
        Some(tenant) => session.conn.load(all.filter(queues::tenant_id.eq(tenant.0)))?,
        None => session.conn.load(all)?,
    };
    let record = |(tenant, name, is_paused, limit): (i64, String, bool, Option<i32>)| {
        let concurrency_limit = limit.map(columns::count);
        Ok(QueueRecord {
            tenant: TenantId(tenant),
            name: columns::name(&name)?,
            is_paused,
            concurrency_limit,
        })
    };
    rows.into_iter().map(record).collect()
}
