//! A client of the dashboard's WebSocket that checks every frame it is sent against the published schema.
//!
//! What it waits for has one deadline: frames and pings that come meanwhile do not put it off.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::{Hive, PATIENCE};

/// The schema, as it is published.
pub static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(protocol::live::SCHEMA).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
});

/// A connected session.
pub struct Watcher {
    stream: WebSocketStream<TcpStream>,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A frame that the schema knows.
    Frame(Value),
    /// A ping of the protocol.
    Ping,
    /// An answer to one of ours.
    Pong(Vec<u8>),
    /// A closing frame, with code and reason.
    Close(u16, String),
    /// The end of the connection, without a closing frame.
    Gone,
}

impl Watcher {
    /// Connects with the admin token; `path` begins behind `/api/dashboard/ws/`.
    ///
    /// # Errors
    /// When the handshake is refused.
    pub async fn connect(hive: &Hive, path: &str) -> Result<Self> {
        Self::connect_as(hive, path, &hive.token).await
    }

    /// Connects with another token.
    ///
    /// # Errors
    /// As [`Watcher::connect`].
    pub async fn connect_as(hive: &Hive, path: &str, token: &str) -> Result<Self> {
        let bearer = format!("Bearer {token}");
        match Self::handshake(hive, path, &[("authorization", &bearer)]).await? {
            Ok(watcher) => Ok(watcher),
            Err(status) => bail!("the handshake on {path} was answered with {status}"),
        }
    }

    /// Offers a handshake with these headers and no other of ours; answers the status where it was refused.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn handshake(
        hive: &Hive,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Result<Self, u16>> {
        Self::offer(&hive.url, path, headers).await
    }

    /// Connects to a hive that runs in this process.
    ///
    /// # Errors
    /// As [`Watcher::connect`].
    pub async fn connect_to(url: &str, path: &str, token: &str) -> Result<Self> {
        let offered = Self::offer(url, path, &[("authorization", &format!("Bearer {token}"))]).await?;
        offered.map_err(|status| anyhow::anyhow!("the handshake on {path} was answered with {status}"))
    }

    async fn offer(url: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Result<Self, u16>> {
        let address = url.strip_prefix("http://").context("an address")?;
        let mut request = format!("ws://{address}/api/dashboard/ws/{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        match tokio_tungstenite::client_async(request, socket).await {
            Ok((stream, _)) => Ok(Ok(Self { stream })),
            Err(Error::Http(answer)) => Ok(Err(answer.status().as_u16())),
            Err(error) => Err(error.into()),
        }
    }

    /// The next thing that comes.
    ///
    /// # Errors
    /// When nothing comes, or a frame is not of the schema.
    pub async fn next(&mut self) -> Result<Said> {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        match next.context("nothing came")? {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text)?;
                check(&frame)?;
                Ok(Said::Frame(frame))
            }
            Some(Ok(Message::Ping(_))) => Ok(Said::Ping),
            Some(Ok(Message::Pong(bytes))) => Ok(Said::Pong(bytes.to_vec())),
            Some(Ok(Message::Close(Some(close)))) => {
                Ok(Said::Close(close.code.into(), close.reason.to_string()))
            }
            Some(Ok(Message::Close(None))) => Ok(Said::Close(1005, String::new())),
            Some(Ok(other)) => bail!("unexpected: {other:?}"),
            Some(Err(_)) | None => Ok(Said::Gone),
        }
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn frame(&mut self) -> Result<Value> {
        self.frame_where("frame", |_| Ok(true)).await
    }

    /// The next frame for which this holds; others are passed over.
    ///
    /// # Errors
    /// When the connection ends first, or `holds` does not like what it sees.
    pub async fn frame_where(
        &mut self,
        what: &str,
        holds: impl FnMut(&Value) -> Result<bool>,
    ) -> Result<Value> {
        self.frame_within(PATIENCE, what, holds).await
    }

    /// As [`Self::frame_where`], for what takes its time.
    ///
    /// # Errors
    /// When it does not come within `time`, or the connection ends first.
    pub async fn frame_within(
        &mut self,
        time: Duration,
        what: &str,
        mut holds: impl FnMut(&Value) -> Result<bool>,
    ) -> Result<Value> {
        within(time, what, async {
            loop {
                match self.next().await? {
                    Said::Frame(frame) if holds(&frame)? => return Ok(frame),
                    Said::Frame(_) | Said::Ping | Said::Pong(_) => {}
                    end @ (Said::Close(..) | Said::Gone) => bail!("the session ended: {end:?}"),
                }
            }
        })
        .await
    }

    /// The next frame of this type; others are passed over.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn of_type(&mut self, kind: &str) -> Result<Value> {
        self.frame_where(kind, |frame| Ok(frame["type"] == kind)).await
    }

    /// The next event, of whatever topic.
    ///
    /// # Errors
    /// When the connection ends, or events are skipped, first.
    pub async fn event(&mut self) -> Result<Value> {
        self.frame_where("event", |frame| {
            let kind = frame["type"].as_str().context("a type")?;
            ensure!(kind != "events_skipped", "{frame}");
            Ok(kind.ends_with("_event"))
        })
        .await
    }

    /// Passes over everything until the end; answers it, and the frames before.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn end(&mut self) -> Result<(Said, Vec<Value>)> {
        let mut frames = Vec::new();
        let end = within(PATIENCE, "end", async {
            loop {
                match self.next().await? {
                    Said::Frame(frame) => frames.push(frame),
                    Said::Ping | Said::Pong(_) => {}
                    end @ (Said::Close(..) | Said::Gone) => return Ok(end),
                }
            }
        })
        .await?;
        Ok((end, frames))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn send(&mut self, frame: &Value) -> Result<()> {
        Ok(self.stream.send(Message::text(frame.to_string())).await?)
    }

    /// Sends anything.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn send_raw(&mut self, message: Message) -> Result<()> {
        Ok(self.stream.send(message).await?)
    }

    /// Sends a ping and waits for its answer: everything that was sent before was read by then.
    ///
    /// # Errors
    /// When none comes.
    pub async fn settle(&mut self) -> Result<Vec<Value>> {
        self.send(&json!({"type": "ping", "correlation_id": "settled"})).await?;
        let mut before = Vec::new();
        let is_settled = |frame: &Value| {
            let is_it = frame["type"] == "pong" && frame["correlation_id"] == "settled";
            if !is_it {
                before.push(frame.clone());
            }
            Ok(is_it)
        };
        self.frame_where("pong", is_settled).await?;
        Ok(before)
    }

    /// Reads nothing for a while and then goes on.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// One deadline for all of a wait.
async fn within<T>(time: Duration, what: &str, wait: impl Future<Output = Result<T>>) -> Result<T> {
    let waited = tokio::time::timeout(time, wait).await;
    waited.with_context(|| format!("no {what} came within {time:?}"))?
}

/// Checks a frame against the schema.
///
/// # Errors
/// What is wrong with it.
pub fn check(frame: &Value) -> Result<()> {
    if let Err(error) = SCHEMA.validate(frame) {
        bail!("a frame is not of the schema: {error}\n{frame:#}");
    }
    Ok(())
}
