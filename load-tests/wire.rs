//! A connection that speaks HTTP/1.1 and costs little: the load generator shares the processors with what it measures.

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one read makes room for.
const ROOM: usize = 16 << 10;
/// Header fields of an answer at most.
const FIELDS_MAX: usize = 32;

/// Where requests go, and in whose name.
#[derive(Debug, Clone)]
pub struct Place {
    /// `127.0.0.1:18080`.
    pub address: String,
    /// The admin token.
    pub token: String,
}

impl Place {
    /// A request, whole.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let Self { address, token } = self;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// A POST, whole.
    pub fn post(&self, path: &str, body: &str) -> Vec<u8> {
        self.request("POST", path, body)
    }

    /// A GET, whole.
    pub fn get(&self, path: &str) -> Vec<u8> {
        self.request("GET", path, "")
    }

    /// A connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(&self) -> Result<Wire> {
        let stream = TcpStream::connect(&self.address).await.with_context(|| self.address.clone())?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, bytes: Vec::with_capacity(ROOM), used: 0 })
    }
}

/// One connection; one request at a time.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// How many bytes the last answer had.
    used: usize,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The body, read as JSON.
    ///
    /// # Errors
    /// When it has another status or form.
    pub fn json<T: DeserializeOwned>(&self, status: u16) -> Result<T> {
        ensure!(self.status == status, "answered with {}: {}", self.status, self.text());
        serde_json::from_slice(self.body).with_context(|| self.text())
    }

    /// The body, read as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

impl Wire {
    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or what comes back is no answer with a length.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.stream.write_all(request).await?;
        let (status, head, length) = loop {
            if let Some(found) = head(&self.bytes)? {
                break found;
            }
            self.read().await?;
        };
        let whole = head + length;
        while self.bytes.len() < whole {
            self.read().await?;
        }
        self.used = whole;
        let body = self.bytes.get(head..whole).context("a body")?;
        Ok(Answer { status, body })
    }

    async fn read(&mut self) -> Result<()> {
        self.bytes.reserve(ROOM);
        ensure!(self.stream.read_buf(&mut self.bytes).await? > 0, "the connection was closed");
        Ok(())
    }
}

/// Status, length of the head, and length of the body, once the head is there.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = answer.parse(bytes)? else { return Ok(None) };
    let length = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = std::str::from_utf8(length.context("an answer without a length")?.value)?.parse()?;
    Ok(Some((answer.code.context("a status")?, head, length)))
}
