//! API keys: make, list, remove.

use std::fmt::Display;

use protocol::query::PageQuery;
use protocol::{ApiKeyView, CreateApiKey, Page};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;

impl Client {
    /// `POST /auth/keys`. The key itself is in this answer only, and not in that to a repeat under the same `guard`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_api_key(
        &self,
        key: &CreateApiKey,
        guard: Option<&str>,
    ) -> Result<Answer<ApiKeyView>, Error> {
        self.call(Call::new(Method::POST, &["auth", "keys"]).body(key)?.idempotency_key(guard)).await
    }

    /// `GET /auth/keys`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn api_keys(&self, query: &PageQuery) -> Result<Answer<Page<ApiKeyView>>, Error> {
        self.call(Call::new(Method::GET, &["auth", "keys"]).query(query.pairs())).await
    }

    /// `DELETE /auth/keys/{id}`: it opens nothing any more.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove_api_key(&self, id: impl Display) -> Result<(), Error> {
        let id = id.to_string();
        self.fetch("/api/v2", Call::new(Method::DELETE, &["auth", "keys", &id])).await.map(|_| ())
    }
}
