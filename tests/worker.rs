//! Workers for the tests: they lease over HTTP, keep a file of what they were told was complete, and may misbehave.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// How one worker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Leases, works, reports.
    Sound,
    /// After this many completions it leases once more and is never heard of again.
    Dies(u32),
    /// After this many completions it sits on its assignments for so long, then reports them all.
    Pauses(u32, Duration),
}

/// A worker of one agent.
pub struct Worker {
    /// The hive's URL.
    pub url: String,
    /// The admin token.
    pub token: String,
    /// The agent it works for.
    pub agent: String,
    /// Its name among the agent's workers.
    pub instance: String,
    /// How it behaves.
    pub manner: Manner,
    /// Assignments it leases at a time.
    pub max: u32,
    /// Where it writes down each completion that was acknowledged.
    pub ledger: PathBuf,
    /// Completions of all workers together.
    pub total: Arc<AtomicU32>,
}

/// What became of a worker.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Completions that were acknowledged.
    pub completed: u32,
    /// Completions that were refused as stale.
    pub stale: u32,
    /// Completions that were acknowledged although the worker had slept beyond the lease.
    pub late: u32,
}

impl Worker {
    /// Works until `is_done` says so after an empty lease.
    ///
    /// # Errors
    /// Answers that no worker should get.
    pub async fn work(self, is_done: impl Fn() -> bool) -> Result<Told> {
        let client = reqwest::Client::new();
        let mut ledger = std::fs::OpenOptions::new().create(true).append(true).open(&self.ledger)?;
        let mut told = Told::default();
        let mut has_paused = false;
        loop {
            let mut is_late = false;
            let assignments = self.lease(&client).await?;
            match self.manner {
                Manner::Dies(after) if told.completed >= after && !assignments.is_empty() => return Ok(told),
                Manner::Pauses(after, pause)
                    if told.completed >= after && !has_paused && !assignments.is_empty() =>
                {
                    (has_paused, is_late) = (true, true);
                    tokio::time::sleep(pause).await;
                }
                Manner::Sound | Manner::Dies(_) | Manner::Pauses(..) => {}
            }
            if assignments.is_empty() && is_done() {
                return Ok(told);
            }
            for assignment in assignments {
                if self.complete(&client, &assignment).await? {
                    told.completed += 1;
                    told.late += u32::from(is_late);
                    self.total.fetch_add(1, Ordering::Relaxed);
                    writeln!(ledger, "{}", assignment["task_id"].as_str().context("a task id")?)?;
                } else {
                    told.stale += 1;
                }
            }
        }
    }

    async fn lease(&self, client: &reqwest::Client) -> Result<Vec<Value>> {
        let body = json!({"max": self.max, "wait_ms": 500, "worker_instance": self.instance});
        let path = format!("/api/v2/agents/{}/lease", self.agent);
        let answer = self.post(client, &path, &body, &[StatusCode::OK]).await?.1;
        Ok(answer["assignments"].as_array().context("assignments")?.clone())
    }

    async fn complete(&self, client: &reqwest::Client, assignment: &Value) -> Result<bool> {
        let body = json!({"attempt": assignment["attempt"], "result": {"echo": assignment["input"]}});
        let path = format!("/api/v2/tasks/{}/complete", assignment["task_id"].as_str().context("a task id")?);
        let fine = [StatusCode::OK, StatusCode::CONFLICT];
        let (status, answer) = self.post(client, &path, &body, &fine).await?;
        if status == StatusCode::CONFLICT && answer["code"] != "stale_lease" {
            bail!("a completion was refused otherwise than as stale: {answer}");
        }
        Ok(status == StatusCode::OK)
    }

    /// POSTs until one of `fine` comes; a server that is away or says 503 is asked again.
    async fn post(
        &self,
        client: &reqwest::Client,
        path: &str,
        body: &Value,
        fine: &[StatusCode],
    ) -> Result<(StatusCode, Value)> {
        let began = Instant::now();
        loop {
            let sent =
                client.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body).send().await;
            if let Ok(response) = sent
                && response.status() != StatusCode::SERVICE_UNAVAILABLE
            {
                let status = response.status();
                let text = response.text().await?;
                if !fine.contains(&status) {
                    bail!("{path} answered {status}: {text}");
                }
                return Ok((status, serde_json::from_str(&text)?));
            }
            if began.elapsed() > crate::PATIENCE {
                bail!("{path} was not answered");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What workers wrote down, all files of a folder together.
///
/// # Errors
/// When a file cannot be read.
pub fn ledgers(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        lines.extend(std::fs::read_to_string(entry?.path())?.lines().map(str::to_owned));
    }
    Ok(lines)
}
