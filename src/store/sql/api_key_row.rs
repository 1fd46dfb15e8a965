//! The row of an API key.

use crate::sql::conn::Conn;
use diesel::prelude::*;
use domain::{AgentId, ApiKey, ApiKeyId, TenantId, Timestamp};

use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::schema::api_keys;

/// The row as it is stored. Without `Debug`: hashes of keys are nobody's business.
#[derive(Queryable, Insertable)]
#[diesel(table_name = api_keys)]
pub(crate) struct ApiKeyRow {
    id: i64,
    tenant_id: i64,
    name: String,
    role: String,
    agent_id: Option<i64>,
    sha256: Vec<u8>,
    prefix: String,
    created_at: i64,
    created_by: String,
    expires_at: Option<i64>,
}

impl ApiKeyRow {
    /// The row of a key.
    pub(crate) fn of(key: &ApiKey) -> Self {
        Self {
            id: key.id.raw(),
            tenant_id: key.tenant.0,
            name: key.name.as_str().to_owned(),
            role: key.role.as_str().to_owned(),
            agent_id: key.agent.map(AgentId::raw),
            sha256: key.sha256.to_vec(),
            prefix: key.prefix.clone(),
            created_at: key.created_at.as_micros(),
            created_by: key.created_by.clone(),
            expires_at: columns::micros(key.expires_at),
        }
    }

    /// The key of a row.
    pub(crate) fn understood(self) -> Result<ApiKey, Failure> {
        let id = ApiKeyId::from_raw(self.id);
        let corrupt = |why: &str| Failure::corrupt(format!("api key {id}"), why);
        Ok(ApiKey {
            id,
            tenant: TenantId(self.tenant_id),
            name: columns::name(&self.name)?,
            role: self.role.parse().map_err(|_| corrupt("unknown role"))?,
            agent: self.agent_id.map(AgentId::from_raw),
            sha256: self.sha256.try_into().map_err(|_| corrupt("a hash of another length"))?,
            prefix: self.prefix,
            created_at: Timestamp::from_micros(self.created_at),
            created_by: self.created_by,
            expires_at: columns::moment(self.expires_at),
        })
    }

    /// The row of a tenant's key.
    pub(crate) fn load(conn: &mut Conn, tenant: TenantId, id: ApiKeyId) -> Result<Option<Self>, Failure> {
        let own = api_keys::table.filter(api_keys::tenant_id.eq(tenant.0)).filter(api_keys::id.eq(id.raw()));
        Ok(conn.get_result(own).optional()?)
    }

    /// Writes a new row.
    pub(crate) fn store(self, conn: &mut Conn) -> Result<(), Failure> {
        conn.execute(diesel::insert_into(api_keys::table).values(&self))?;
        Ok(())
    }
}
