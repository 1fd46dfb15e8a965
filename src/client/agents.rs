//! Agents: register, look, change, drain, lease.

use std::fmt::Display;
use std::time::Duration;

use protocol::query::PageQuery;
use protocol::{AgentView, LeaseAnswer, LeaseRequest, Page, PatchAgent, RegisterAgent};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;

impl Client {
    /// `POST /agents`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn register_agent(
        &self,
        agent: &RegisterAgent,
        key: Option<&str>,
    ) -> Result<Answer<AgentView>, Error> {
        self.call(Call::new(Method::POST, &["agents"]).body(agent)?.idempotency_key(key)).await
    }

    /// `GET /agents`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agents(&self, query: &PageQuery) -> Result<Answer<Page<AgentView>>, Error> {
        self.call(Call::new(Method::GET, &["agents"]).query(query.pairs())).await
    }

    /// `GET /agents/{id}`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent(&self, id: impl Display) -> Result<Answer<AgentView>, Error> {
        self.call(Call::new(Method::GET, &["agents", &id.to_string()])).await
    }

    /// `PATCH /agents/{id}`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_agent(
        &self,
        id: impl Display,
        patch: &PatchAgent,
    ) -> Result<Answer<AgentView>, Error> {
        self.call(Call::new(Method::PATCH, &["agents", &id.to_string()]).body(patch)?).await
    }

    /// `DELETE /agents/{id}`. Its working attempts keep their leases.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove_agent(&self, id: impl Display) -> Result<(), Error> {
        let id = id.to_string();
        self.fetch("/api/v2", Call::new(Method::DELETE, &["agents", &id])).await.map(|_| ())
    }

    /// `POST /agents/{id}/drain`: it takes nothing new.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn drain_agent(&self, id: impl Display) -> Result<Answer<AgentView>, Error> {
        self.call(Call::new(Method::POST, &["agents", &id.to_string(), "drain"])).await
    }

    /// `POST /agents/{id}/resume`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resume_agent(&self, id: impl Display) -> Result<Answer<AgentView>, Error> {
        self.call(Call::new(Method::POST, &["agents", &id.to_string(), "resume"])).await
    }

    /// `POST /agents/{id}/restart`: its actor starts afresh.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restart_agent(&self, id: impl Display) -> Result<Answer<AgentView>, Error> {
        self.call(Call::new(Method::POST, &["agents", &id.to_string(), "restart"])).await
    }

    /// `POST /agents/{id}/lease`: takes assignments, waiting up to `wait_ms` while there are none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lease(&self, id: impl Display, lease: &LeaseRequest) -> Result<Answer<LeaseAnswer>, Error> {
        let wait = Duration::from_millis(lease.wait_ms.unwrap_or(0));
        let id = id.to_string();
        self.call(Call::new(Method::POST, &["agents", &id, "lease"]).body(lease)?.waits(wait)).await
    }
}
