//! A worker that speaks over its session, and checks every frame it is sent against the published schema.

use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::{Hive, PATIENCE};

/// What the hive says, as it is published.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = protocol::worker_session::SCHEMA;
    let mut schema: Value = serde_json::from_str(text).expect("the schema is JSON");
    schema["oneOf"] = json!([{"$ref": "#/$defs/HiveFrame"}]);
    jsonschema::validator_for(&schema).expect("the schema is a schema")
});

/// An open session.
pub struct WorkerSocket {
    stream: WebSocketStream<TcpStream>,
    /// The first frame.
    pub established: Value,
}

impl WorkerSocket {
    /// Opens a session of an agent with the admin token; `query` begins with a question mark, or is empty.
    ///
    /// # Errors
    /// When the handshake is refused.
    pub async fn open(hive: &Hive, agent: &str, query: &str) -> Result<Self> {
        let bearer = format!("Bearer {}", hive.token);
        let offered =
            Self::offer(hive, &format!("{agent}/session{query}"), &[("authorization", &bearer)]).await?;
        offered.map_err(|status| anyhow::anyhow!("the handshake was answered with {status}"))
    }

    /// Offers a handshake with these headers and no other of ours; answers the status where it was refused.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn offer(
        hive: &Hive,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Result<Self, u16>> {
        let address = hive.url.strip_prefix("http://").context("an address")?;
        let mut request = format!("ws://{address}/api/v2/agents/{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let stream = match tokio_tungstenite::client_async(request, socket).await {
            Ok((stream, _)) => stream,
            Err(Error::Http(answer)) => return Ok(Err(answer.status().as_u16())),
            Err(error) => return Err(error.into()),
        };
        let mut session = Self { stream, established: Value::Null };
        session.established = session.of_type("session_established").await?;
        Ok(Ok(session))
    }

    /// The next frame; the code and reason with which the session was closed, where it ends.
    ///
    /// # Errors
    /// When nothing comes in time, or a frame is not of the schema.
    pub async fn next(&mut self) -> Result<Result<Value, (u16, String)>> {
        let began = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let next = tokio::time::timeout(left, self.stream.next()).await.context("nothing came")?;
            match next {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    if let Err(error) = SCHEMA.validate(&frame) {
                        bail!("{error} in {frame}");
                    }
                    return Ok(Ok(frame));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(close)))) => {
                    return Ok(Err((close.code.into(), close.reason.to_string())));
                }
                Some(Ok(other)) => bail!("unexpected: {other:?}"),
                Some(Err(_)) | None => return Ok(Err((1006, String::new()))),
            }
        }
    }

    /// The next frame, which has this type.
    ///
    /// # Errors
    /// When it has another one, or the session ends.
    pub async fn of_type(&mut self, kind: &str) -> Result<Value> {
        match self.next().await? {
            Ok(frame) => {
                ensure!(frame["type"] == kind, "{kind} was expected: {frame}");
                Ok(frame)
            }
            Err(end) => bail!("{kind} was expected, and the session ended: {end:?}"),
        }
    }

    /// The next `count` assignments, in however many frames.
    ///
    /// # Errors
    /// When another frame comes first.
    pub async fn assignments(&mut self, count: usize) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        while items.len() < count {
            let frame = self.of_type("assignments").await?;
            items.extend(frame["items"].as_array().context("items")?.clone());
        }
        ensure!(items.len() == count, "{count} were expected: {items:?}");
        Ok(items)
    }

    /// Passes over everything until the end; answers code, reason and the notice before it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn end(&mut self) -> Result<(u16, String, Option<Value>)> {
        let mut last = None;
        loop {
            match self.next().await? {
                Ok(frame) => last = Some(frame),
                Err((code, reason)) => return Ok((code, reason, last)),
            }
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn send(&mut self, frame: &Value) -> Result<()> {
        self.send_raw(Message::text(frame.to_string())).await
    }

    /// Sends anything.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn send_raw(&mut self, message: Message) -> Result<()> {
        Ok(self.stream.send(message).await?)
    }

    /// Opens so many slots.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn ready(&mut self, slots: u32) -> Result<()> {
        self.send(&json!({"type": "ready", "slots": slots})).await
    }

    /// Sends a report and answers the items of its answer.
    ///
    /// # Errors
    /// When another frame comes first.
    pub async fn report(&mut self, kind: &str, items: Value) -> Result<Vec<Value>> {
        self.send(&json!({"type": kind, "items": items, "correlation_id": "r-1"})).await?;
        let ack = self.of_type("ack").await?;
        ensure!(ack["of"] == kind && ack["correlation_id"] == "r-1", "{ack}");
        Ok(ack["items"].as_array().context("items")?.clone())
    }

    /// Waits until the hive has read everything that was sent, and checks that it says nothing but that.
    ///
    /// # Errors
    /// When it says something else.
    pub async fn silence(&mut self) -> Result<()> {
        self.send(&json!({"type": "ping"})).await?;
        self.of_type("pong").await.map(drop)
    }
}

/// An item that names an assignment, with more fields.
#[must_use]
pub fn about(assignment: &Value, more: &Value) -> Value {
    let mut item = json!({"task_id": assignment["task_id"], "attempt": assignment["attempt"]});
    for (name, value) in more.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
    item
}
