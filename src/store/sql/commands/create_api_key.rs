//! Makes an API key under a name that is free.

use std::sync::Arc;

use diesel::prelude::*;
use domain::limits::API_KEYS_MAX;
use domain::{ApiKey, ApiKeyId, EventKind, TenantId};

use super::keys::{self, Guarded, Known};
use crate::command::CreateApiKey;
use crate::outcome::ApiKeyCreated;
use crate::sql::api_key_row::ApiKeyRow;
use crate::sql::batch::{Batch, Fact};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::{agent_row, schema::api_keys};

pub(super) fn apply(batch: &mut Batch<'_>, command: &CreateApiKey) -> Result<ApiKeyCreated, Failure> {
    let key = ApiKey { created_at: batch.now, ..command.key.clone() };
    // The same command came before and its fate was not known to its sender, who still has the key.
    if let Some(row) = ApiKeyRow::load(batch.conn, key.tenant, key.id)? {
        return Ok(ApiKeyCreated::Accepted(Box::new(row.understood()?)));
    }
    if let Some(guard) = &command.guard {
        match keys::look_up(batch, key.tenant, Guarded::CreateApiKey, guard)? {
            Known::Same(id) => {
                if let Some(row) = ApiKeyRow::load(batch.conn, key.tenant, ApiKeyId::from_raw(id))? {
                    return Ok(ApiKeyCreated::Replayed(Box::new(row.understood()?)));
                }
            }
            Known::Other => return Ok(ApiKeyCreated::KeyMismatch),
            Known::New => {}
        }
    }
    if is_taken(batch, &key)? {
        return Ok(ApiKeyCreated::NameTaken);
    }
    if count(batch, key.tenant)? >= i64::from(API_KEYS_MAX) {
        return Ok(ApiKeyCreated::TooMany);
    }
    if let Some(agent) = key.agent
        && !agent_row::is_there(batch.conn, agent, key.tenant)?
    {
        return Ok(ApiKeyCreated::UnknownAgent);
    }
    ApiKeyRow::of(&key).store(batch.conn)?;
    if let Some(guard) = &command.guard {
        keys::store(batch, key.tenant, Guarded::CreateApiKey, guard, key.id.raw())?;
    }
    tell(batch, EventKind::AuthKeyCreated, &key, &command.correlation_id)?;
    Ok(ApiKeyCreated::Accepted(Box::new(key)))
}

/// Tells that a key was made or removed: which one, and nothing that opens anything.
pub(super) fn tell(
    batch: &mut Batch<'_>,
    kind: EventKind,
    key: &ApiKey,
    correlation_id: &Arc<str>,
) -> Result<(), Failure> {
    let data = Data::new().word("id", key.id).word("name", &key.name).word("role", key.role).finish(None);
    let correlation_id = Arc::clone(correlation_id);
    // Not of the key's agent: nothing happened to that.
    batch.tell(Fact { kind, tenant: key.tenant, agent: None, correlation_id, data })
}

fn is_taken(batch: &mut Batch<'_>, key: &ApiKey) -> Result<bool, Failure> {
    let holder = batch
        .conn
        .get_result::<i64, _>(
            api_keys::table
                .filter(api_keys::tenant_id.eq(key.tenant.0))
                .filter(api_keys::name.eq(key.name.as_str()))
                .select(api_keys::id),
        )
        .optional()?;
    Ok(holder.is_some())
}

fn count(batch: &mut Batch<'_>, tenant: TenantId) -> Result<i64, Failure> {
    Ok(batch.conn.get_result(api_keys::table.filter(api_keys::tenant_id.eq(tenant.0)).count())?)
}
