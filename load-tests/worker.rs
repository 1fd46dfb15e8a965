//! Workers outside the hive: over lease calls, and over sessions. They do nothing but report success.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::sample::Sample;
use crate::tally::Tally;
use crate::task::moment;
use crate::wire::Place;

/// How long a lease call waits.
const WAIT_MS: u64 = 200;
/// How long a session that hears nothing waits before it looks whether it is over.
const SILENCE: Duration = Duration::from_millis(200);

/// What workers count together.
#[derive(Clone)]
pub struct Work {
    /// Completions that were acknowledged; their latency is that of the report.
    pub completions: Tally,
    /// Starts: from when a task was due until its assignment was read.
    pub starts: Tally,
    /// Some of the completed tasks.
    pub sample: Sample,
    /// Whether no more will come once everything that was submitted is done.
    pub is_over: std::rc::Rc<dyn Fn() -> bool>,
}

#[derive(Deserialize)]
struct Leased<'a> {
    #[serde(borrow)]
    assignments: Vec<Assignment<'a>>,
}

#[derive(Deserialize)]
struct Assignment<'a> {
    task_id: &'a str,
    attempt: u32,
    title: &'a str,
    input: Input,
}

#[derive(Deserialize)]
struct Input {
    due: u64,
}

#[derive(Deserialize)]
struct Answers<'a> {
    #[serde(borrow)]
    items: Vec<Answer<'a>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: u16,
    task_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Assigned<'a> {
    #[serde(borrow)]
    items: Vec<Assignment<'a>>,
}

impl Work {
    /// Takes note of assignments; answers their reports, a comma between them.
    fn reports(&self, assignments: &[Assignment<'_>]) -> String {
        let mut reports = String::with_capacity(assignments.len() * 96);
        for Assignment { task_id, attempt, title, input } in assignments {
            self.starts.add_due(moment(input.due), 1);
            if let Some(number) = title.strip_prefix("load ").and_then(|number| number.parse().ok()) {
                self.sample.offer(number, format!(r#"{{"id":"{task_id}"}}"#).as_bytes());
            }
            let comma = if reports.is_empty() { "" } else { "," };
            reports += comma;
            reports += &format!(r#"{{"task_id":"{task_id}","attempt":{attempt},"result":{{"ok":true}}}}"#);
        }
        reports
    }

    /// Takes note of the answers to reports that were sent at a moment; answers how many there were.
    fn answered(&self, sent: Instant, answers: &[Answer<'_>]) -> Result<usize> {
        if let Some(bad) = answers.iter().find(|answer| answer.status != 200) {
            bail!("the completion of {:?} was answered {}", bad.task_id, bad.status);
        }
        self.completions.add(sent, u64::try_from(answers.len())?);
        Ok(answers.len())
    }
}

/// Leases so many at a time, and completes them in one call, until it is over.
pub async fn over_leases(place: &Place, agent: &str, work: &Work, batch: usize) -> Result<()> {
    let mut wire = place.connect().await?;
    let lease = format!(r#"{{"max":{batch},"wait_ms":{WAIT_MS}}}"#);
    let lease = place.post(&format!("/api/v2/agents/{agent}/lease"), &lease);
    loop {
        let answer = wire.ask(&lease).await?;
        ensure!(answer.status == 200, "a lease was answered {}: {}", answer.status, answer.text());
        let Leased { assignments } = serde_json::from_slice(answer.body)?;
        if assignments.is_empty() {
            if (work.is_over)() {
                return Ok(());
            }
            continue;
        }
        let reports = format!(r#"{{"items":[{}]}}"#, work.reports(&assignments));
        let sent = Instant::now();
        let answer = wire.ask(&place.post("/api/v2/leases/complete", &reports)).await?;
        ensure!(answer.status == 200, "completions were answered {}: {}", answer.status, answer.text());
        let Answers { items } = serde_json::from_slice(answer.body)?;
        work.answered(sent, &items)?;
    }
}

/// A session of an agent, with nothing asked for yet.
pub async fn open_session(place: &Place, agent: &str) -> Result<WebSocketStream<TcpStream>> {
    let mut request =
        format!("ws://{}/api/v2/agents/{agent}/session", place.address).into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {}", place.token).parse()?);
    let socket = TcpStream::connect(&place.address).await?;
    socket.set_nodelay(true)?;
    let (stream, _) = tokio_tungstenite::client_async(request, socket).await?;
    Ok(stream)
}

/// Works over a session with so many slots until it is over.
pub async fn over_session(place: &Place, agent: &str, work: &Work, slots: usize) -> Result<()> {
    let mut session = open_session(place, agent).await?;
    session.send(Message::text(format!(r#"{{"type":"ready","slots":{slots}}}"#))).await?;
    // When the reports without an answer were sent: answers come in their order.
    let mut sent = std::collections::VecDeque::new();
    loop {
        let Ok(next) = tokio::time::timeout(SILENCE, session.next()).await else {
            if (work.is_over)() {
                return Ok(());
            }
            continue;
        };
        let text = match next.context("the session ended")?? {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => continue,
            other => bail!("the session said {other:?}"),
        };
        let Frame { kind } = serde_json::from_str(&text)?;
        match kind {
            "assignments" => {
                let Assigned { items } = serde_json::from_str(&text)?;
                let reports = format!(r#"{{"type":"complete","items":[{}]}}"#, work.reports(&items));
                sent.push_back(Instant::now());
                session.feed(Message::text(reports)).await?;
                // What is done is done: the slots are open, though the answer is to come.
                let ready = format!(r#"{{"type":"ready","slots":{}}}"#, items.len());
                session.send(Message::text(ready)).await?;
            }
            "ack" => {
                let Answers { items } = serde_json::from_str(&text)?;
                work.answered(sent.pop_front().context("an answer to nothing")?, &items)?;
            }
            "session_established" => {}
            other => bail!("the session said {other}: {text}"),
        }
    }
}
