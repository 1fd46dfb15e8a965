//! Process agents in tests: registering them, and finding what they started by a mark in its environment.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{Hive, PATIENCE};

/// The name of the variable that carries a [`Mark`].
const VARIABLE: &str = "TEST_MARK";

/// Marks what a test starts, so that it is told from what others start at the same time.
#[derive(Debug, Clone)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self::new()
    }
}

impl Mark {
    /// One that no other test has.
    #[must_use]
    pub fn new() -> Self {
        let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        Self(format!("{}-{nanos}", std::process::id()))
    }

    /// The environment that carries it.
    #[must_use]
    pub fn env(&self) -> Value {
        json!({ VARIABLE: self.0 })
    }

    /// The processes that carry it, as `pid command line`.
    #[must_use]
    pub fn processes(&self) -> Vec<String> {
        let wanted = format!("{VARIABLE}={}", self.0);
        let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
        let folders = folder.filter_map(Result::ok).map(|entry| entry.path());
        folders
            .filter(|path| {
                let environ = std::fs::read(path.join("environ")).unwrap_or_default();
                environ.split(|byte| *byte == 0).any(|pair| pair == wanted.as_bytes())
            })
            .map(|path| {
                let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).replace('\0', " ");
                format!("{} {words}", path.file_name().unwrap_or_default().to_string_lossy())
            })
            .collect()
    }

    /// Waits until as many processes carry it as `holds` wants.
    ///
    /// # Errors
    /// When that never comes, with those that are there.
    pub async fn until(&self, patience: Duration, holds: impl Fn(usize) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            let there = self.processes();
            if holds(there.len()) {
                return Ok(());
            }
            if began.elapsed() > patience {
                bail!("{} processes: {there:#?}", there.len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Hive {
    /// Registers a process agent that can do `capability`, and answers its id; `link` needs no kind.
    ///
    /// # Errors
    /// Any answer but 201.
    pub async fn command_agent(&self, capability: &str, capacity: u32, mut link: Value) -> Result<String> {
        link["kind"] = json!("process");
        let body = json!({
            "name": capability, "capabilities": [capability], "capacity": capacity, "link": link,
        });
        let agent = self.post("/api/v2/agents", &body, 201).await?;
        Ok(agent["id"].as_str().context("an id")?.to_owned())
    }

    /// Submits a task with this input for whoever can do `capability`, and answers its id.
    ///
    /// # Errors
    /// Any answer but 201.
    pub async fn ask(&self, capability: &str, input: &str) -> Result<String> {
        self.submit(
            &json!({"title": "ask", "requires": [capability], "input": input, "backoff": {"initial_ms": 10}}),
        )
        .await
    }

    /// Waits until a task has ended, and answers it.
    ///
    /// # Errors
    /// When it never does.
    pub async fn task_ended(&self, id: &str) -> Result<Value> {
        self.task_when(id, |task| {
            ["completed", "failed", "canceled"].contains(&task["state"].as_str().unwrap_or_default())
        })
        .await
    }

    /// A task's attempts, the first one first.
    ///
    /// # Errors
    /// Any answer but 200.
    pub async fn attempts(&self, id: &str) -> Result<Vec<Value>> {
        let answer = self.get(&format!("/api/v2/tasks/{id}/attempts")).await?;
        let mut attempts = answer["items"].as_array().context("items")?.clone();
        attempts.sort_by_key(|attempt| attempt["attempt"].as_u64());
        Ok(attempts)
    }

    /// All output of a task, pieces joined.
    ///
    /// # Errors
    /// Any answer but 200.
    pub async fn output(&self, id: &str) -> Result<String> {
        let (mut text, mut cursor) = (String::new(), None::<String>);
        loop {
            let query = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
            let page = self.get(&format!("/api/v2/tasks/{id}/output?limit=200{query}")).await?;
            for piece in page["items"].as_array().context("items")? {
                text.push_str(piece["text"].as_str().context("a text")?);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(text),
            }
        }
    }
}

/// How long what a hive started may outlive its `kill -9`.
pub const GONE_WITHIN: Duration = Duration::from_secs(2);
/// How long a test waits for processes to come or go where no promise is tested.
pub const SOON: Duration = PATIENCE;

/// Stops a process (SIGSTOP) and waits until each of its threads stands still: the signal returns earlier.
///
/// # Errors
/// When there is no such process, or a thread runs on.
pub fn halt(pid: u32) -> Result<()> {
    let process = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("a process id")?;
    rustix::process::kill_process(process, rustix::process::Signal::STOP)?;
    let began = Instant::now();
    while !stands_still(pid)? {
        if began.elapsed() > PATIENCE {
            bail!("a thread of the stopped process {pid} runs on");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn stands_still(pid: u32) -> Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(thread?.path().join("stat"))?;
        let state = stat.rsplit_once(") ").context("a state")?.1;
        if !state.starts_with('T') {
            return Ok(false);
        }
    }
    Ok(true)
}
