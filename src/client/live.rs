//! What stands beside the WebSocket: its limits, who is connected, and what operators do with them.

use protocol::live::answers::{
    BroadcastView, ContractView, DisconnectedView, LiveHealthView, LiveLimitsView, LiveStatsView,
};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;

const ROOT: &str = "/api/dashboard";

impl Client {
    /// `GET /api/dashboard/websocket/limits`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_limits(&self) -> Result<Answer<LiveLimitsView>, Error> {
        self.call_live(Call::new(Method::GET, &["websocket", "limits"])).await
    }

    /// `GET /api/dashboard/websocket/contract`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_contract(&self) -> Result<Answer<ContractView>, Error> {
        self.call_live(Call::new(Method::GET, &["websocket", "contract"])).await
    }

    /// `GET /api/dashboard/websocket/stats`: who is connected.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_stats(&self) -> Result<Answer<LiveStatsView>, Error> {
        self.call_live(Call::new(Method::GET, &["websocket", "stats"])).await
    }

    /// `GET /api/dashboard/websocket/health`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_health(&self) -> Result<Answer<LiveHealthView>, Error> {
        self.call_live(Call::new(Method::GET, &["websocket", "health"])).await
    }

    /// `GET /api/dashboard/metrics/websockets`, in Prometheus' text format.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_metrics(&self) -> Result<String, Error> {
        self.fetch(ROOT, Call::new(Method::GET, &["metrics", "websockets"])).await
    }

    /// `POST /api/dashboard/websocket/broadcast`: says something to all sessions of a topic.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn broadcast(
        &self,
        subscription: &str,
        message_type: &str,
        data: &impl Serialize,
    ) -> Result<Answer<BroadcastView>, Error> {
        let pairs = [("subscription", subscription), ("message_type", message_type)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let call = Call::new(Method::POST, &["websocket", "broadcast"]).query(pairs).body(data)?;
        self.call_live(call).await
    }

    /// `POST /api/dashboard/websocket/disconnect/{id}`: ends a session.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn disconnect(&self, connection: &str) -> Result<Answer<DisconnectedView>, Error> {
        self.call_live(Call::new(Method::POST, &["websocket", "disconnect", connection])).await
    }

    async fn call_live<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Answer<T>, Error> {
        let text = self.fetch(ROOT, call).await?;
        let value = serde_json::from_str(&text).map_err(|error| self.unexpected(error.to_string()))?;
        Ok(Answer::new(value, text, false, 200))
    }
}
