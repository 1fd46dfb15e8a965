//! API keys: made, removed, looked up.

use std::sync::Arc;

use domain::{AgentId, ApiKey, ApiKeyId, Name, Role, Timestamp};
use store::command::{CreateApiKey, IdempotencyKey, RemoveApiKey};
use store::outcome::{ApiKeyCreated, ApiKeyRemoved};
use tokio::sync::oneshot;

use super::{ANSWER_WITHIN, RuntimeHandle, within};
use crate::caller::Caller;
use crate::coordinator::change_keys::{ChangeKeys, KeyChange};
use crate::error::Error;
use crate::key_ring::HeldKey;

/// A key that somebody asks for, with the hash of the secret that was made for it.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// What people call it.
    pub name: Name,
    /// What its holder may do.
    pub role: Role,
    /// Which agent its holder is.
    pub agent: Option<AgentId>,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// SHA-256 of the secret.
    pub sha256: [u8; 32],
    /// How the secret begins.
    pub prefix: String,
}

impl RuntimeHandle {
    /// Makes an API key; when the answer comes, it opens.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        asked: NewApiKey,
        guard: Option<IdempotencyKey>,
    ) -> Result<ApiKeyCreated, Error> {
        let NewApiKey { name, role, agent, expires_at, sha256, prefix } = asked;
        let key = ApiKey {
            id: self.shared.next_api_key_id(),
            tenant: caller.tenant,
            name,
            role,
            agent,
            sha256,
            prefix,
            created_at: self.shared.clock.now(),
            created_by: caller.principal.to_string(),
            expires_at,
        };
        let correlation_id = Arc::clone(&caller.correlation_id);
        self.change_keys(CreateApiKey { key, guard, correlation_id }).await
    }

    /// Removes an API key; when the answer comes, it opens nothing any more.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKeyRemoved, Error> {
        let correlation_id = Arc::clone(&caller.correlation_id);
        self.change_keys(RemoveApiKey { tenant: caller.tenant, id, correlation_id }).await
    }

    /// The key of a hash, if there is one and its time is not over. Costs no read of the store.
    #[must_use]
    pub fn api_key(&self, sha256: &[u8; 32]) -> Option<Arc<HeldKey>> {
        let held = self.shared.key_ring.find(sha256)?;
        (!held.key.is_expired(self.shared.clock.now())).then_some(held)
    }

    async fn change_keys<C: KeyChange>(&self, command: C) -> Result<C::Answer, Error> {
        self.shared.refuse_unless_serving()?;
        let (reply, answer) = oneshot::channel();
        self.coordinator.tell(ChangeKeys { command, reply })?;
        within(ANSWER_WITHIN, answer).await
    }
}
