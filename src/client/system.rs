//! The hive itself: events, figures, actors, health.

use protocol::query::{ActorQuery, EventQuery};
use protocol::{
    ActorsView, EventView, HealthView, Items, NodeView, Page, PerformanceQuery, PerformanceView, SystemView,
};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;
use crate::follow::FollowLog;

impl Client {
    /// `GET /events`: the log after a `seq`, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn events(&self, query: &EventQuery) -> Result<Answer<Page<EventView>>, Error> {
        self.call(Call::new(Method::GET, &["events"]).query(query.pairs())).await
    }

    /// `GET /events/stream`: the log after a `seq` as it grows; from now on without one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn follow_events(&self, after: Option<i64>) -> Result<FollowLog, Error> {
        let after = after.map(|seq| seq.to_string());
        let call = Call::new(Method::GET, &["events", "stream"]).follows(after.as_deref());
        Ok(FollowLog::new(self.clone(), self.send("/api/v2", call).await?))
    }

    /// `GET /system`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn system(&self) -> Result<Answer<SystemView>, Error> {
        self.call(Call::new(Method::GET, &["system"])).await
    }

    /// `GET /system/nodes`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn nodes(&self) -> Result<Answer<Items<NodeView>>, Error> {
        self.call(Call::new(Method::GET, &["system", "nodes"])).await
    }

    /// `GET /monitoring/performance`: what the hive did over a range of time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn performance(&self, query: &PerformanceQuery) -> Result<Answer<PerformanceView>, Error> {
        self.call(Call::new(Method::GET, &["monitoring", "performance"]).query(query.pairs())).await
    }

    /// `GET /system/actors`: the live tree.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn actors(&self, query: &ActorQuery) -> Result<Answer<ActorsView>, Error> {
        self.call(Call::new(Method::GET, &["system", "actors"]).query(query.pairs())).await
    }

    /// `GET /health`; an unhealthy hive answers too.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn health(&self) -> Result<Answer<HealthView>, Error> {
        let text = self.fetch("", Call::new(Method::GET, &["health"])).await?;
        let health = serde_json::from_str(&text).map_err(|error| self.unexpected(error.to_string()))?;
        Ok(Answer::new(health, text, false, 200))
    }

    /// `GET /health/ready`: whether it takes requests now.
    ///
    /// # Errors
    /// See [`Error`]; a problem with 503 while it starts, drains or has no database.
    pub async fn ready(&self) -> Result<(), Error> {
        self.fetch("", Call::new(Method::GET, &["health", "ready"])).await.map(|_| ())
    }

    /// `GET /metrics`, as Prometheus reads it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn metrics(&self) -> Result<String, Error> {
        self.fetch("", Call::new(Method::GET, &["metrics"])).await
    }
}
