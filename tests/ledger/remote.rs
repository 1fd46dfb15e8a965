//! A hive as a client sees it that outlives its crashes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// How long a request is sent again until somebody answers it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits before it sends again.
const AGAIN: Duration = Duration::from_millis(5);

/// Where a hive answers.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Like `http://127.0.0.1:18080`.
    pub url: String,
    /// The admin token.
    pub token: String,
    client: Client,
}

/// An answer: its status, whether it says that it was given before, and its body.
#[derive(Debug, Clone)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// `Idempotent-Replayed: true`.
    pub is_replayed: bool,
    /// The body; null when it is empty.
    pub body: Value,
}

impl Remote {
    /// The hive at `url`.
    ///
    /// # Errors
    /// Never with these settings; the library's word is passed on.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        // A hive that stands still does not answer; its clients do not wait for ever.
        let client = Client::builder().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { url: url.to_owned(), token: token.to_owned(), client })
    }

    /// Sends once. `None` when no whole answer came: what became of the request is not known.
    pub async fn send(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Option<Told> {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let is_replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let text = answer.text().await.ok()?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).ok()? };
        Some(Told { status, is_replayed, body })
    }

    /// Sends until an answer comes that says more than "not now".
    ///
    /// # Errors
    /// When none comes within a minute.
    pub async fn ask(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Result<Told> {
        let began = Instant::now();
        loop {
            match self.send(method.clone(), path, key, body).await {
                Some(told) if !is_not_now(told.status) => return Ok(told),
                _ if began.elapsed() > PATIENCE => bail!("{path} was not answered for a minute"),
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// GETs and expects 200.
    ///
    /// # Errors
    /// Any other answer.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let told = self.ask(Method::GET, path, None, &Value::Null).await?;
        if told.status != StatusCode::OK {
            bail!("{path} answered {}: {}", told.status, told.body);
        }
        Ok(told.body)
    }

    /// Registers a worker agent and answers its id.
    ///
    /// # Errors
    /// Any answer but 201.
    pub async fn agent(&self, name: &str, capacity: u32) -> Result<String> {
        let body = serde_json::json!({
            "name": name, "role": "worker", "capacity": capacity, "link": {"kind": "worker"},
        });
        let told = self.ask(Method::POST, "/api/v2/agents", Some(name), &body).await?;
        if told.status != StatusCode::CREATED {
            bail!("the agent was answered {}: {}", told.status, told.body);
        }
        Ok(told.body["id"].as_str().context("an id")?.to_owned())
    }
}

/// Starting, draining, overloaded, or over the limit: the same request again, later.
fn is_not_now(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}
