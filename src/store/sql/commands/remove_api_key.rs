//! Removes an API key.

use diesel::prelude::*;
use domain::EventKind;

use super::create_api_key::tell;
use super::sweep::retire_tasks::RaiseIdsFloor;
use crate::command::RemoveApiKey;
use crate::outcome::ApiKeyRemoved;
use crate::sql::api_key_row::ApiKeyRow;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::schema::api_keys;

pub(super) fn apply(batch: &mut Batch<'_>, command: &RemoveApiKey) -> Result<ApiKeyRemoved, Failure> {
    let Some(row) = ApiKeyRow::load(batch.conn, command.tenant, command.id)? else {
        return Ok(ApiKeyRemoved::NotFound);
    };
    let key = row.understood()?;
    batch.conn.execute(RaiseIdsFloor { id: key.id.raw() })?;
    batch.conn.execute(diesel::delete(api_keys::table.find(key.id.raw())))?;
    tell(batch, EventKind::AuthKeyRemoved, &key, &command.correlation_id)?;
    Ok(ApiKeyRemoved::Done(Box::new(key)))
}
