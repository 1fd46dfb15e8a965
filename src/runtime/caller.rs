//! Who asks.

use std::sync::Arc;

use domain::{AgentId, TenantId};
use store::command::Reporter;

/// Who asks: whose tenant, which principal, which request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose tasks and agents are meant.
    pub tenant: TenantId,
    /// Who it is, for `created_by`.
    pub principal: Arc<str>,
    /// Which agent it is, where it is one and no more than that.
    pub agent: Option<AgentId>,
    /// What ties log lines and events of the request together.
    pub correlation_id: Arc<str>,
}

impl Caller {
    /// The hive itself, for what its janitors do.
    #[must_use]
    pub fn hive() -> Self {
        let (principal, correlation_id) = (Arc::from("hive"), Arc::from("hive"));
        Self { tenant: TenantId::DEFAULT, principal, agent: None, correlation_id }
    }

    /// Whose attempts it may report about.
    #[must_use]
    pub const fn reporter(&self) -> Reporter {
        Reporter { tenant: self.tenant, agent: self.agent }
    }
}
