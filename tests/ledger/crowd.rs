//! Clients that submit and workers that complete, however often the hive goes away. Each writes down what it is promised.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Book, Promise, Remote, result, task};

/// Assignments that a worker leases at a time.
const LEASED_MAX: u32 = 8;

/// How long a client rests after an answer: what a crowd does has to be checked afterwards.
const PACE: Duration = Duration::from_millis(40);

/// What all of a crowd have been promised so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Submits.
    pub accepted: AtomicU64,
    /// Completions.
    pub completed: AtomicU64,
    /// Completions that were refused as stale.
    pub refused: AtomicU64,
    /// Submits whose answer says that it was given before.
    pub replayed: AtomicU64,
}

/// Clients and workers at work.
pub struct Crowd {
    /// What they were promised.
    pub counts: Arc<Counts>,
    books: PathBuf,
    no_more: Arc<AtomicBool>,
    go_home: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<()>>>,
    workers: Vec<JoinHandle<Result<()>>>,
}

impl Crowd {
    /// So many clients and workers begin, with their books in a folder. The keys of each crowd begin with its `name`.
    #[expect(clippy::disallowed_methods, reason = "the crowd waits for each of them itself")]
    #[must_use]
    pub fn begin(
        hive: &Remote,
        agent: &str,
        books: &Path,
        name: &str,
        (clients, workers): (usize, usize),
    ) -> Self {
        let counts = Arc::new(Counts::default());
        let (no_more, go_home) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let client = |number: usize| {
            let (hive, books, counts) = (hive.clone(), books.to_owned(), Arc::clone(&counts));
            let (no_more, name) = (Arc::clone(&no_more), format!("{name}-client-{number}"));
            tokio::spawn(async move {
                submit(&hive, &mut Book::open(&books, &name)?, &name, &counts, &no_more).await
            })
        };
        let worker = |number: usize| {
            let (hive, books, counts) = (hive.clone(), books.to_owned(), Arc::clone(&counts));
            let (agent, go_home) = (agent.to_owned(), Arc::clone(&go_home));
            let name = format!("{name}-worker-{number}");
            tokio::spawn(async move {
                let book = Book::open(&books, &name)?;
                Worker { hive, agent, name, book, think: Duration::ZERO }.work(&counts, &go_home).await
            })
        };
        let clients = (0..clients).map(client).collect();
        let workers = (0..workers).map(worker).collect();
        Self { counts, books: books.to_owned(), no_more, go_home, clients, workers }
    }

    /// Where they write down what they are promised.
    #[must_use]
    pub fn books(&self) -> &Path {
        &self.books
    }

    /// All stop at once, wherever they are; for a hive that does not come back to its address.
    pub fn abandon(self) {
        self.clients.iter().chain(&self.workers).for_each(JoinHandle::abort);
    }

    /// Nobody submits any more; everything that is there is worked off, and all go home.
    ///
    /// # Errors
    /// When one of them got an answer that nobody should get, or the work does not come to an end.
    pub async fn end(self, hive: &Remote) -> Result<()> {
        self.no_more.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        // However much there is: it has to become less.
        let (mut least, mut since) = (u64::MAX, std::time::Instant::now());
        loop {
            let tasks = hive.get("/api/v2/system").await?["tasks"].clone();
            let open =
                ["scheduled", "queued", "working"].iter().filter_map(|state| tasks[*state].as_u64()).sum();
            if open == 0 {
                break;
            }
            if open < least {
                (least, since) = (open, std::time::Instant::now());
            }
            if since.elapsed() > Duration::from_secs(60) {
                bail!("the work does not come to an end: {tasks}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.go_home.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await??;
        }
        Ok(())
    }
}

/// Submits, one task after the other, each under a key of its own, until it is answered.
///
/// # Errors
/// Answers that nobody should get.
pub async fn submit(
    hive: &Remote,
    book: &mut Book,
    name: &str,
    counts: &Counts,
    no_more: &AtomicBool,
) -> Result<()> {
    let mut number = 0_u64;
    while !no_more.load(Ordering::Relaxed) {
        let key = format!("{name}-{number}");
        let told = hive.ask(Method::POST, "/api/v2/tasks", Some(&key), &task(&key)).await?;
        if told.status != StatusCode::CREATED {
            bail!("a submit was answered {}: {}", told.status, told.body);
        }
        let task = told.body["id"].as_str().context("an id")?.to_owned();
        book.note(&Promise::Accepted { key, task })?;
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        counts.replayed.fetch_add(u64::from(told.is_replayed), Ordering::Relaxed);
        number += 1;
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// One that leases and completes.
pub struct Worker {
    /// For whom.
    pub hive: Remote,
    /// As which agent.
    pub agent: String,
    /// Its name among the agent's workers.
    pub name: String,
    /// Where it writes down what it is promised.
    pub book: Book,
    /// How long it thinks about each task.
    pub think: Duration,
}

impl Worker {
    /// Leases and completes until it is told to go home. A lease whose answer is lost is the hive's to mend.
    ///
    /// # Errors
    /// Answers that nobody should get.
    pub async fn work(&mut self, counts: &Counts, go_home: &AtomicBool) -> Result<()> {
        let call = json!({"max": LEASED_MAX, "wait_ms": 300, "worker_instance": self.name});
        let path = format!("/api/v2/agents/{}/lease", self.agent);
        while !go_home.load(Ordering::Relaxed) {
            let told = self.hive.ask(Method::POST, &path, None, &call).await?;
            if told.status != StatusCode::OK {
                bail!("a lease call was answered {}: {}", told.status, told.body);
            }
            for assignment in told.body["assignments"].as_array().context("assignments")? {
                tokio::time::sleep(self.think).await;
                self.complete(assignment, counts).await?;
            }
        }
        Ok(())
    }

    async fn complete(&mut self, assignment: &Value, counts: &Counts) -> Result<()> {
        let task = assignment["task_id"].as_str().context("a task")?.to_owned();
        let attempt = assignment["attempt"].as_u64().context("an attempt")?;
        let report = json!({"attempt": attempt, "result": result(attempt, &self.name)});
        let path = format!("/api/v2/tasks/{task}/complete");
        let told = self.hive.ask(Method::POST, &path, None, &report).await?;
        match told.status {
            StatusCode::OK => {
                counts.completed.fetch_add(1, Ordering::Relaxed);
                self.book.note(&Promise::Completed { task, attempt, by: self.name.clone() })
            }
            StatusCode::CONFLICT if told.body["code"] == "stale_lease" => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                self.book.note(&Promise::Refused { task, attempt })
            }
            status => bail!("a completion was answered {status}: {}", told.body),
        }
    }
}
