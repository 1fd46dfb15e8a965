//! Answers that are followed: output and events as they come, one after the other.
//!
//! Invariant: no more is kept than one event, and none longer than [`EVENT_BYTES_MAX`].

use protocol::output_stream::MEDIA_TYPE;
use protocol::{EventView, OutputEvent};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::call::Client;
use crate::error::Error;

/// Longest event: a piece of 64 KiB may take six times as much in JSON escapes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// A stream of output. Dropped, it is closed. What breaks it is told; beginning anew is the caller's, with the place
/// of the last event that came.
#[derive(Debug)]
pub struct Follow {
    lines: Lines,
}

/// An event with the text it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// What it says.
    pub event: OutputEvent,
    /// Its JSON, as the server sent it.
    pub text: String,
}

/// A stream of the log. Dropped, it is closed. What breaks it is told; beginning anew is the caller's, after the last
/// event that came.
#[derive(Debug)]
pub struct FollowLog {
    lines: Lines,
}

/// What a stream of the log tells.
#[derive(Debug, Clone)]
pub enum Logged {
    /// One event.
    Event {
        /// What it says.
        event: Box<EventView>,
        /// Its JSON, as the server sent it, on one line.
        text: String,
    },
    /// These are not kept any more.
    Skipped(Skipped),
}

/// Events that are not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Skipped {
    /// The first of them.
    pub from: i64,
    /// The last of them.
    pub to: i64,
}

impl Follow {
    pub(crate) const fn new(client: Client, response: Response) -> Self {
        Self { lines: Lines::new(client, response) }
    }

    /// The next event; `None` when the server ended the stream, which it also does when it stops.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the connection breaks or is silent for too long, [`Error::Unexpected`] when what
    /// comes is no stream of a hive.
    pub async fn next(&mut self) -> Result<Option<Followed>, Error> {
        while let Some(Told { name, text }) = self.lines.told().await? {
            let event = OutputEvent::read(&name, &text).map_err(|error| self.lines.odd(error))?;
            if let Some(event) = event {
                return Ok(Some(Followed { event, text }));
            }
        }
        Ok(None)
    }
}

impl FollowLog {
    pub(crate) const fn new(client: Client, response: Response) -> Self {
        Self { lines: Lines::new(client, response) }
    }

    /// What comes next; `None` when the server ended the stream, which it also does when it stops.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub async fn next(&mut self) -> Result<Option<Logged>, Error> {
        while let Some(Told { name, text }) = self.lines.told().await? {
            match name.as_str() {
                "" | "message" => {
                    let event = serde_json::from_str(&text).map_err(|error| self.lines.odd(error))?;
                    return Ok(Some(Logged::Event { event: Box::new(event), text }));
                }
                "skipped" => {
                    let skipped = serde_json::from_str(&text).map_err(|error| self.lines.odd(error))?;
                    return Ok(Some(Logged::Skipped(skipped)));
                }
                // A newer hive may tell more.
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The answer, read as server-sent events.
#[derive(Debug)]
struct Lines {
    client: Client,
    response: Response,
    unread: Vec<u8>,
    /// How much of it was read since.
    at: usize,
    name: String,
    text: String,
}

/// One of them.
struct Told {
    name: String,
    text: String,
}

impl Lines {
    const fn new(client: Client, response: Response) -> Self {
        Self { client, response, unread: Vec::new(), at: 0, name: String::new(), text: String::new() }
    }

    /// The next one that is whole; what broke off is no event.
    async fn told(&mut self) -> Result<Option<Told>, Error> {
        self.refuse_strangers()?;
        loop {
            while let Some(line) = self.line() {
                if let Some(told) = self.take(&line)? {
                    return Ok(Some(told));
                }
            }
            if self.unread.len().saturating_add(self.text.len()) > EVENT_BYTES_MAX {
                return Err(self.client.unexpected("an event without an end".to_owned()));
            }
            match self.response.chunk().await.map_err(|error| self.client.lost(error))? {
                Some(bytes) => self.unread.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    fn odd(&self, error: impl std::fmt::Display) -> Error {
        self.client.unexpected(format!("{error} in an event"))
    }

    fn refuse_strangers(&self) -> Result<(), Error> {
        let kind = self.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with(MEDIA_TYPE)) {
            Ok(())
        } else {
            Err(self.client.unexpected(format!("{} in place of a stream", kind.unwrap_or("nothing"))))
        }
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let rest = self.unread.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            // What was read goes once a chunk, not once a line.
            self.unread.drain(..self.at);
            self.at = 0;
            return None;
        };
        let line = rest.get(..length).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.at = self.at.saturating_add(length).saturating_add(1);
        Some(line)
    }

    /// Takes a line in; an empty one ends an event.
    fn take(&mut self, line: &[u8]) -> Result<Option<Told>, Error> {
        let line = std::str::from_utf8(line)
            .map_err(|_| self.client.unexpected("a stream that is not text".to_owned()))?;
        if line.is_empty() {
            let (name, text) = (std::mem::take(&mut self.name), std::mem::take(&mut self.text));
            return Ok((!text.is_empty()).then_some(Told { name, text }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.text.is_empty() {
                    self.text.push('\n');
                }
                self.text.push_str(value);
            }
            // The id stands in the data, too; comments only say that the server is there.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TaskState;
    use protocol::OutputEnd;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const PIECE: &str =
        r#"{"attempt":1,"chunk":2,"at":"2026-01-31T12:00:00Z","text":"Grüße\n","truncated":false}"#;

    /// Follows a server that sends these bytes in pieces of so many; answers what was asked, what came and how it ended.
    async fn follow(head: &str, body: &str, size: usize) -> (String, Vec<Followed>, Option<Error>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 8_192];
            let length = socket.read(&mut asked).await.unwrap();
            socket.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
            for piece in body.as_bytes().chunks(size) {
                // A client that had enough has gone.
                let _ = socket.write_all(piece).await;
                let _ = socket.flush().await;
                tokio::task::yield_now().await;
            }
            String::from_utf8(asked[..length].to_vec()).unwrap()
        };
        let read = async {
            let mut found = Vec::new();
            let place = "1.1".parse().unwrap();
            let mut follow = client.follow_output("task_x", Some(place)).await.unwrap();
            loop {
                match follow.next().await {
                    Ok(Some(followed)) => found.push(followed),
                    Ok(None) => return (found, None),
                    Err(error) => return (found, Some(error)),
                }
            }
        };
        let (asked, (found, error)) = tokio::join!(serve, read);
        (asked, found, error)
    }

    #[tokio::test]
    async fn events_are_read_however_the_bytes_are_cut_and_the_place_is_handed_on() {
        let body = format!(
            ":\n\nevent: output\nid: 1.2\ndata: {PIECE}\n\nevent: news\ndata: {{}}\n\n:\n\n\
             event: end\r\ndata: {{\"state\":\"completed\"}}\r\n\r\n"
        );
        for size in [1, 7, 4_096] {
            let (asked, found, error) = follow("content-type: text/event-stream", &body, size).await;
            assert!(asked.starts_with("GET /api/v2/tasks/task_x/output?follow=true HTTP/1.1\r\n"), "{asked}");
            assert!(asked.contains("last-event-id: 1.1\r\n"), "{asked}");
            assert!(error.is_none(), "{error:?}");
            let texts: Vec<&str> = found.iter().map(|followed| followed.text.as_str()).collect();
            assert_eq!(texts, [PIECE, r#"{"state":"completed"}"#]);
            let end = OutputEvent::End(OutputEnd { state: TaskState::Completed });
            assert_eq!(found[1].event, end);
        }
    }

    #[tokio::test]
    async fn what_is_no_stream_of_a_hive_is_told_and_never_fills_the_memory() {
        let stream = "content-type: text/event-stream";
        let endless = "x".repeat(EVENT_BYTES_MAX + 2);
        for (head, body) in [
            ("content-type: application/json\r\ncontent-length: 2", "{}"),
            (stream, "event: output\ndata: {}\n\n"),
            (stream, endless.as_str()),
        ] {
            let (_, found, error) = follow(head, body, 65_536).await;
            assert!(found.is_empty() && matches!(error, Some(Error::Unexpected { .. })), "{error:?}");
        }
    }
}
