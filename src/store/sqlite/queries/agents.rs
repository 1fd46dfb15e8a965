//! Agents, API keys and queues: few, read whole.

use diesel::prelude::*;
use domain::{Agent, AgentId, ApiKey, TenantId};

use super::Session;
use crate::record::QueueRecord;
use crate::sqlite::agent_row::AgentRow;
use crate::sqlite::api_key_row::ApiKeyRow;
use crate::sqlite::columns;
use crate::sqlite::failure::Failure;
use crate::sqlite::schema::{agents, api_keys, queues};

/// Agents of one tenant or of all, oldest first; removed ones are not shown.
pub(crate) fn agents(session: &mut Session<'_>, tenant: Option<TenantId>) -> Result<Vec<Agent>, Failure> {
    let mut query = agents::table.filter(agents::removed_at.is_null()).order(agents::id).into_boxed();
    if let Some(tenant) = tenant {
        query = query.filter(agents::tenant_id.eq(tenant.0));
    }
    let rows: Vec<AgentRow> = query.load(session.conn)?;
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
    let mut query = api_keys::table.order(api_keys::id).into_boxed();
    if let Some(tenant) = tenant {
        query = query.filter(api_keys::tenant_id.eq(tenant.0));
    }
    let rows: Vec<ApiKeyRow> = query.load(session.conn)?;
    rows.into_iter().map(ApiKeyRow::understood).collect()
}

/// What is stored of the queues of one tenant or of all, by name.
pub(crate) fn queues(
    session: &mut Session<'_>,
    tenant: Option<TenantId>,
) -> Result<Vec<QueueRecord>, Failure> {
    let mut query = queues::table.order((queues::tenant_id, queues::name)).into_boxed();
    if let Some(tenant) = tenant {
        query = query.filter(queues::tenant_id.eq(tenant.0));
    }
    let rows: Vec<(i64, String, bool, Option<i32>)> = query.load(session.conn)?;
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
