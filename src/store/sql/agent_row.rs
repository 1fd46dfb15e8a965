//! The row of an agent.

use std::collections::BTreeSet;

use crate::sql::conn::Conn;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text};
use domain::{Agent, AgentId, Health, LaneSpec, Name, NewAgent, TenantId, Timestamp};

use crate::sql::failure::Failure;
use crate::sql::schema::agents;
use crate::sql::statement::statement;
use crate::sql::{columns, link_columns};

/// The row as it is stored. Without `Debug`: it holds values that nobody may read back.
#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = agents, treat_none_as_null = true)]
pub(crate) struct AgentRow {
    id: i64,
    tenant_id: i64,
    name: String,
    role: String,
    capabilities: String,
    capacity: i32,
    labels: Option<String>,
    link: String,
    is_draining: bool,
    health: i16,
    created_at: i64,
    removed_at: Option<i64>,
    link_spec: Option<String>,
    link_env: Option<String>,
}

impl AgentRow {
    /// Whether it was removed.
    pub(crate) const fn is_removed(&self) -> bool {
        self.removed_at.is_some()
    }

    /// Whether it is this tenant's.
    pub(crate) const fn is_of(&self, tenant: TenantId) -> bool {
        self.tenant_id == tenant.0
    }

    /// The row of an agent.
    pub(crate) fn of(agent: &Agent, removed_at: Option<Timestamp>) -> Result<Self, Failure> {
        Ok(Self {
            id: agent.id.raw(),
            tenant_id: agent.tenant.0,
            name: agent.asked.name.as_str().to_owned(),
            role: agent.asked.role.as_str().to_owned(),
            capabilities: names_column(&agent.asked.capabilities),
            capacity: columns::count_column(agent.asked.capacity),
            labels: columns::labels_column(&agent.asked.labels)?,
            link: agent.asked.link.kind().to_owned(),
            is_draining: agent.is_draining,
            health: agent.health.code(),
            created_at: agent.created_at.as_micros(),
            removed_at: columns::micros(removed_at),
            link_spec: link_columns::spec_column(&agent.asked.link)?,
            link_env: link_columns::env_column(&agent.asked.link)?,
        })
    }

    /// The agent of a row.
    pub(crate) fn understood(self) -> Result<Agent, Failure> {
        let id = AgentId::from_raw(self.id);
        let corrupt = |why: String| Failure::corrupt(format!("agent {id}"), why);
        let link = link_columns::link(&self.link, self.link_spec.as_deref(), self.link_env.as_deref())
            .map_err(corrupt)?;
        Ok(Agent {
            id,
            tenant: TenantId(self.tenant_id),
            asked: NewAgent {
                name: columns::name(&self.name)?,
                role: columns::name(&self.role)?,
                capabilities: LaneSpec::requires_from_key(&self.capabilities),
                capacity: columns::count(self.capacity),
                labels: columns::labels(self.labels.as_deref())?,
                link,
            },
            is_draining: self.is_draining,
            health: Health::from_code(self.health).ok_or_else(|| corrupt("unknown health".to_owned()))?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }

    /// The row of an agent, also of a removed one.
    pub(crate) fn load(conn: &mut Conn, id: AgentId) -> Result<Option<Self>, Failure> {
        Ok(conn.get_result(LoadAgent { id: id.raw() }).optional()?)
    }

    /// Writes the row, new or changed.
    pub(crate) fn store(self, conn: &mut Conn) -> Result<(), Failure> {
        conn.execute(
            diesel::insert_into(agents::table).values(&self).on_conflict(agents::id).do_update().set(&self),
        )?;
        Ok(())
    }
}

/// An agent that may take tasks of `lane`: it is there, takes new ones, and covers what the lane requires.
pub(crate) fn may_take(conn: &mut Conn, id: AgentId, lane: &LaneSpec) -> Result<bool, Failure> {
    let Some(standing) = Standing::load(conn, id)? else { return Ok(false) };
    if standing.is_draining {
        return Ok(false);
    }
    // Most lanes require nothing, and then nothing needs to be read from the row.
    let capabilities = if lane.requires.is_empty() {
        BTreeSet::new()
    } else {
        LaneSpec::requires_from_key(&standing.capabilities)
    };
    Ok(lane.is_covered_by(standing.tenant, id, &capabilities))
}

/// Whether there is an agent of this tenant that was not removed.
pub(crate) fn is_there(conn: &mut Conn, id: AgentId, tenant: TenantId) -> Result<bool, Failure> {
    Ok(Standing::load(conn, id)?.is_some_and(|standing| standing.tenant == tenant))
}

/// What a claim asks of an agent that is there. The rest of its row, some of it long JSON, is not touched.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it can do, as stored.
    pub capabilities: String,
    /// Whether it takes nothing new.
    pub is_draining: bool,
}

impl Standing {
    fn load(conn: &mut Conn, id: AgentId) -> Result<Option<Self>, Failure> {
        if let Some(session) = conn.gathering() {
            return session.standing(id);
        }
        let found = conn.peek::<(i64, String, bool), _>(LoadStanding { id: id.raw() }).optional()?;
        Ok(found.map(|(tenant, capabilities, is_draining)| Self {
            tenant: TenantId(tenant),
            capabilities,
            is_draining,
        }))
    }
}

fn names_column(names: &BTreeSet<Name>) -> String {
    let words: Vec<&str> = names.iter().map(Name::as_str).collect();
    words.join(",")
}

statement! {
    /// One row by its id.
    LoadAgent { id: i64 } -> (
        BigInt, BigInt, Text, Text, Text, Integer, Nullable<Text>, Text, Bool, SmallInt, BigInt, Nullable<BigInt>,
        Nullable<Text>, Nullable<Text>,
    ) =
    "SELECT id, tenant_id, name, role, capabilities, capacity, labels, link, is_draining, health, created_at, \
     removed_at, link_spec, link_env FROM agents WHERE id = "; id
}

statement! {
    /// What a claim asks of one row that is not removed.
    LoadStanding { id: i64 } -> (BigInt, Text, Bool) =
    "SELECT tenant_id, capabilities, is_draining FROM agents WHERE removed_at IS NULL AND id = "; id
}
