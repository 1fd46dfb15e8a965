//! Changes an agent in one way; nothing is written when nothing changes.

use std::sync::Arc;

use domain::{Agent, AgentPatch, EventKind, Link};

use crate::command::{AgentEdit, ChangeAgent};
use crate::outcome::AgentChange;
use crate::sql::agent_row::AgentRow;
use crate::sql::batch::{Batch, Fact};
use crate::sql::data::Data;
use crate::sql::failure::Failure;

pub(super) fn apply(batch: &mut Batch<'_>, command: &ChangeAgent) -> Result<AgentChange, Failure> {
    let row = AgentRow::load(batch.conn, command.agent)?;
    let Some(row) = row.filter(|row| row.is_of(command.tenant) && !row.is_removed()) else {
        return Ok(AgentChange::NotFound);
    };
    let before = row.understood()?;
    let mut after = before.clone();
    let kind = match &command.change {
        AgentEdit::Patch { seen: Some(seen), .. } if **seen != before.asked => {
            return Ok(AgentChange::Superseded);
        }
        AgentEdit::Patch { patch, .. } => {
            edit(&mut after, patch);
            EventKind::AgentUpdated
        }
        AgentEdit::Drain(is_draining) => {
            after.is_draining = *is_draining;
            EventKind::AgentStateChanged
        }
        AgentEdit::Observe(health) => {
            after.health = *health;
            EventKind::AgentStateChanged
        }
        AgentEdit::Remove => {
            // Its secrets go with it; the attempts that still run have theirs.
            if let Link::Process(link) = &mut after.asked.link {
                link.env.clear();
            }
            EventKind::AgentRemoved
        }
    };
    let is_removed = matches!(command.change, AgentEdit::Remove);
    if is_removed || after != before {
        AgentRow::of(&after, is_removed.then_some(batch.now))?.store(batch.conn)?;
        batch.tell(Fact {
            kind,
            tenant: after.tenant,
            agent: Some(after.id),
            correlation_id: Arc::clone(&command.correlation_id),
            data: told(&after, kind)?.finish(None),
        })?;
    }
    Ok(AgentChange::Done(Box::new(after)))
}

fn edit(agent: &mut Agent, patch: &AgentPatch) {
    let asked = &mut agent.asked;
    if let Some(role) = &patch.role {
        asked.role = role.clone();
    }
    if let Some(capabilities) = &patch.capabilities {
        asked.capabilities = capabilities.clone();
    }
    if let Some(capacity) = patch.capacity {
        asked.capacity = capacity;
    }
    if let Some(labels) = &patch.labels {
        asked.labels = labels.clone();
    }
    if let Some(link) = &patch.link {
        asked.link = link.clone();
    }
}

fn told(agent: &Agent, kind: EventKind) -> Result<Data, Failure> {
    let data = Data::new().word("name", &agent.asked.name);
    if kind == EventKind::AgentUpdated {
        return Ok(data.value("capacity", agent.asked.capacity));
    }
    if kind == EventKind::AgentStateChanged {
        // The shown state depends on how many assignments it holds, which the fold knows and the writer does not.
        let health =
            serde_json::to_string(&agent.health).map_err(|error| Failure::Unfit(error.to_string()))?;
        return Ok(data.value("health", health).value("is_draining", agent.is_draining));
    }
    Ok(data)
}
