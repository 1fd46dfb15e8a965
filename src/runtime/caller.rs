//! Who asks.

use std::sync::Arc;

use domain::TenantId;

/// Who asks: whose tenant, which principal, which request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose tasks and agents are meant.
    pub tenant: TenantId,
    /// Who it is, for `created_by`.
    pub principal: Arc<str>,
    /// What ties log lines and events of the request together.
    pub correlation_id: Arc<str>,
}

impl Caller {
    /// The hive itself, for what its janitors do.
    #[must_use]
    pub fn hive() -> Self {
        Self { tenant: TenantId::DEFAULT, principal: Arc::from("hive"), correlation_id: Arc::from("hive") }
    }
}
