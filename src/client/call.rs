//! One request: how it is put together, sent and read.

use std::time::Duration;

use protocol::ProblemDetails;
use protocol::query::Pairs;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::error::Error;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an ordinary answer may take; the hive itself answers within a second even when it is overloaded.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer that goes on may be silent: longer than any call waits, and a hive beats each 15 s.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(65);
/// Says that an idempotency key was used before.
const REPLAYED: &str = "idempotent-replayed";
/// Longest part of an answer that is not a hive's which an error shows.
const EXCERPT_CHARS: usize = 80;

/// A client of one hive. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// A request before it is sent.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: Pairs,
    body: Option<Vec<u8>>,
    idempotency_key: Option<&'a str>,
    last_event_id: Option<&'a str>,
    timeout: Option<Duration>,
}

impl<'a> Call<'a> {
    /// Without query and body; `path` is cut into its segments, which are encoded one by one.
    pub(crate) const fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            query: Pairs::new(),
            body: None,
            idempotency_key: None,
            last_event_id: None,
            timeout: Some(ANSWER_TIMEOUT),
        }
    }

    pub(crate) fn query(mut self, query: Pairs) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::Unusable {
            what: "the request".into(),
            why: "it cannot be written as JSON",
        })?;
        self.body = Some(body);
        Ok(self)
    }

    pub(crate) const fn idempotency_key(mut self, key: Option<&'a str>) -> Self {
        self.idempotency_key = key;
        self
    }

    /// For calls that wait on purpose, on top of the ordinary time.
    pub(crate) fn waits(mut self, wait: Duration) -> Self {
        self.timeout = Some(ANSWER_TIMEOUT.saturating_add(wait));
        self
    }

    /// For an answer that goes on, after the event that came last.
    pub(crate) const fn follows(mut self, last_event_id: Option<&'a str>) -> Self {
        self.timeout = None;
        self.last_event_id = last_event_id;
        self
    }
}

impl Client {
    /// For the hive at `base_url`, like `http://127.0.0.1:18080`. Connects with the first request.
    ///
    /// # Errors
    /// [`Error::Unusable`] when the address is not `http://host:port` or the token cannot go into a header.
    pub fn new(base_url: &str, token: Option<&str>) -> Result<Self, Error> {
        let unusable = |why| Error::Unusable { what: base_url.to_owned(), why };
        let base: Url = base_url.parse().map_err(|_| unusable("it is not like http://127.0.0.1:18080"))?;
        match base.scheme() {
            "http" if base.has_host() && !base.cannot_be_a_base() => {}
            "https" => {
                return Err(unusable(
                    "this client speaks plain HTTP only; use http://, or a tunnel to the server's machine",
                ));
            }
            _ => return Err(unusable("it is not like http://127.0.0.1:18080")),
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let broken =
                |_| Error::Unusable { what: "the token".into(), why: "it holds characters no token has" };
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(broken)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("agent-hive/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            // the token must not go anywhere but to the server that was named
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| unusable("an HTTP client cannot be set up"))?;
        Ok(Self { http, base })
    }

    /// The address it calls.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends a call under `/api/v2` and reads a JSON answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Answer<T>, Error> {
        let response = self.send("/api/v2", call).await?;
        let (status, is_replayed) = (response.status().as_u16(), response.headers().contains_key(REPLAYED));
        let text = self.read(response).await?;
        let value = serde_json::from_str(&text)
            .map_err(|error| self.unexpected(format!("{error} in {:?}", excerpt(&text))))?;
        Ok(Answer::new(value, text, is_replayed, status))
    }

    /// Sends a call under `root` and takes the answer as text.
    pub(crate) async fn fetch(&self, root: &str, call: Call<'_>) -> Result<String, Error> {
        let response = self.send(root, call).await?;
        self.read(response).await
    }

    /// Sends a call under `root` and answers its head; what is no success is read to its end and is an error.
    pub(crate) async fn send(&self, root: &str, call: Call<'_>) -> Result<Response, Error> {
        let request = self.request(root, call)?;
        let response = request.send().await.map_err(|error| self.lost(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    /// What is wrong, by an answer that is no success; it is read to its end.
    pub(crate) async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let retry_after = seconds(response.headers());
        let text = match self.read(response).await {
            Ok(text) => text,
            Err(error) => return error,
        };
        match serde_json::from_str::<ProblemDetails>(&text) {
            Ok(problem) => Error::Problem { problem: Box::new(problem), retry_after },
            Err(_) => self.unexpected(format!("{status}, {:?}", excerpt(&text))),
        }
    }

    /// A request as it will be sent.
    pub(crate) fn request(&self, root: &str, call: Call<'_>) -> Result<reqwest::RequestBuilder, Error> {
        let mut url = self.base.clone();
        let base_path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base_path}{root}"));
        url.path_segments_mut()
            .map_err(|()| Error::Unusable { what: self.base.to_string(), why: "it has no path" })?
            .extend(call.path);
        let mut request = self.http.request(call.method, url);
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        if let Some(id) = call.last_event_id {
            request = request.header("last-event-id", id);
        }
        if let Some(key) = call.idempotency_key {
            let broken = |_| Error::Unusable {
                what: "the idempotency key".into(),
                why: "it may hold visible ASCII characters only",
            };
            request = request.header("idempotency-key", HeaderValue::from_str(key).map_err(broken)?);
        }
        Ok(request)
    }

    async fn read(&self, response: Response) -> Result<String, Error> {
        let bytes = response.bytes().await.map_err(|error| self.lost(error))?;
        String::from_utf8(bytes.into()).map_err(|_| self.unexpected("the answer is not text".into()))
    }

    pub(crate) fn lost(&self, cause: reqwest::Error) -> Error {
        let is_timeout = cause.is_timeout();
        Error::Unreachable { url: self.base_url().to_owned(), is_timeout, cause: cause.without_url() }
    }

    pub(crate) fn unexpected(&self, what: String) -> Error {
        Error::Unexpected { url: self.base_url().to_owned(), what }
    }
}

fn seconds(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
