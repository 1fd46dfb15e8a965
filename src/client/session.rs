//! A session: the hive as it happens, over a WebSocket.
//!
//! Invariant: the session ends by itself when nothing came for 65 s, since a hive pings each 30 s.

use futures_util::{SinkExt, StreamExt};
use protocol::live::client::Place;
use protocol::live::frame::{Body, Frame};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Method, StatusCode, Upgraded};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::call::{Call, Client, SILENCE_MAX};
use crate::error::Error;

/// Longest frame that is taken, in bytes: an answer with 200 agents and all their labels stays far below.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// One session. Dropped, its connection is closed. What breaks it is told; beginning anew is the caller's, with the last
/// place up to which everything came.
#[derive(Debug)]
pub struct Session {
    client: Client,
    stream: WebSocketStream<Upgraded>,
}

impl Client {
    /// `GET /api/dashboard/ws/dashboard`: watches these topics, from now on or from behind a place.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn watch(&self, topics: &[&str], resume: Option<&Place>) -> Result<Session, Error> {
        let mut query = vec![("subscriptions".to_owned(), topics.join(","))];
        query.extend(resume.map(|place| ("resume".to_owned(), format!("{}:{}", place.epoch, place.offset))));
        let path = ["ws", "dashboard"];
        // What goes on has no time of its own: a session says when it was silent for too long.
        let call = Call::new(Method::GET, &path).query(query).follows(None);
        let key = generate_key();
        let request = self.request("/api/dashboard", call)?;
        let request = request
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let asked = timeout(SILENCE_MAX, request.send()).await;
        let response = asked.map_err(|_| self.silent())?.map_err(|error| self.lost(error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.refused(response).await);
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(self.unexpected("a handshake that was not meant for this session".to_owned()));
        }
        let upgraded = response.upgrade().await.map_err(|error| self.lost(error))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(Session { client: self.clone(), stream })
    }

    fn silent(&self) -> Error {
        let why = format!("nothing came for {} s", SILENCE_MAX.as_secs());
        Error::Ended { url: self.base_url().to_owned(), code: None, why }
    }
}

impl Session {
    /// The next frame. Frames of a newer contract are passed over.
    ///
    /// # Errors
    /// [`Error::Ended`] when the session ends, [`Error::Unexpected`] when what comes is no frame of a hive.
    pub async fn next(&mut self) -> Result<Frame, Error> {
        loop {
            let message = timeout(SILENCE_MAX, self.stream.next()).await.map_err(|_| self.client.silent())?;
            match message {
                Some(Ok(Message::Text(text))) => {
                    if let Some(frame) = read(&text).map_err(|error| self.client.unexpected(error))? {
                        return Ok(frame);
                    }
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err(self.ended(Some(close.code.into()), close.reason.to_string()));
                }
                Some(Ok(Message::Close(None))) | None => {
                    return Err(self.ended(None, "it was closed".to_owned()));
                }
                // Pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.ended(None, error.to_string())),
            }
        }
    }

    /// Asks for something that is read once; the answer is a frame like any other, with `data_type` as its correlation id.
    ///
    /// # Errors
    /// [`Error::Ended`] when the session has ended.
    pub async fn ask(&mut self, data_type: &str, params: &Value) -> Result<(), Error> {
        let asked = json!({"type": "request_data", "data_type": data_type, "params": params, "correlation_id": data_type});
        let sent = self.stream.send(Message::text(asked.to_string())).await;
        sent.map_err(|error| self.ended(None, error.to_string()))
    }

    fn ended(&self, code: Option<u16>, why: String) -> Error {
        Error::Ended { url: self.client.base_url().to_owned(), code, why }
    }
}

/// A frame; `None` for one of a type that nobody knows here.
fn read(text: &str) -> Result<Option<Frame>, String> {
    match serde_json::from_str(text) {
        Ok(frame) => Ok(Some(frame)),
        Err(error) => {
            let value: Value = serde_json::from_str(text).map_err(|error| format!("{error} in a frame"))?;
            match value.get("type").and_then(Value::as_str) {
                Some(kind) if !Body::KINDS.contains(&kind) => Ok(None),
                _ => Err(format!("{error} in a frame")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_a_newer_contract_is_passed_over_and_one_that_is_broken_is_told() {
        let known = r#"{"type":"pong","timestamp":"2026-01-31T12:00:00Z","correlation_id":"c","newer":1}"#;
        assert!(matches!(read(known), Ok(Some(Frame { body: Body::Pong {}, .. }))));
        let newer = r#"{"type":"dance","timestamp":"2026-01-31T12:00:00Z","correlation_id":"c"}"#;
        assert_eq!(read(newer), Ok(None));
        for broken in ["", "[]", "{}", r#"{"type":7}"#, r#"{"type":"pong"}"#] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
