//! Registers an agent under a name that is free.

use std::sync::Arc;

use diesel::prelude::*;
use domain::{Agent, AgentId, EventKind};

use super::keys::{self, Guarded, Known};
use crate::command::RegisterAgent;
use crate::outcome::Registered;
use crate::sql::agent_row::AgentRow;
use crate::sql::batch::{Batch, Fact};
use crate::sql::data::Data;
use crate::sql::failure::Failure;
use crate::sql::schema::agents;

pub(super) fn apply(batch: &mut Batch<'_>, command: &RegisterAgent) -> Result<Registered, Failure> {
    let agent = Agent { created_at: batch.now, ..command.agent.clone() };
    if let Some(key) = &command.key {
        match keys::look_up(batch, agent.tenant, Guarded::Register, key)? {
            Known::Same(id) => {
                if let Some(replayed) = replayed(batch, AgentId::from_raw(id))? {
                    return Ok(replayed);
                }
            }
            Known::Other => return Ok(Registered::KeyMismatch),
            Known::New => {}
        }
    }
    // The same command came before and its fate was not known to its sender.
    if let Some(replayed) = replayed(batch, agent.id)? {
        return Ok(replayed);
    }
    if is_taken(batch, &agent)? {
        return Ok(Registered::NameTaken);
    }
    AgentRow::of(&agent, None)?.store(batch.conn)?;
    if let Some(key) = &command.key {
        keys::store(batch, agent.tenant, Guarded::Register, key, agent.id.raw())?;
    }
    let health = serde_json::to_string(&agent.health).map_err(|error| Failure::Unfit(error.to_string()))?;
    let data = Data::new().word("name", &agent.asked.name).value("health", health).finish(None);
    batch.tell(Fact {
        kind: EventKind::AgentRegistered,
        tenant: agent.tenant,
        agent: Some(agent.id),
        correlation_id: Arc::clone(&command.correlation_id),
        data,
    })?;
    Ok(Registered::Accepted(Box::new(agent)))
}

/// The answer to a request that came before, as long as its agent's row is there; a removed one keeps it for a while.
fn replayed(batch: &mut Batch<'_>, id: AgentId) -> Result<Option<Registered>, Failure> {
    let Some(row) = AgentRow::load(batch.conn, id)? else { return Ok(None) };
    Ok(Some(Registered::Replayed(Box::new(row.understood()?))))
}

fn is_taken(batch: &mut Batch<'_>, agent: &Agent) -> Result<bool, Failure> {
    let holder = batch
        .conn
        .get_result::<i64, _>(
            agents::table
                .filter(agents::tenant_id.eq(agent.tenant.0))
                .filter(agents::name.eq(agent.asked.name.as_str()))
                .filter(agents::removed_at.is_null())
                .select(agents::id),
        )
        .optional()?;
    Ok(holder.is_some())
}
