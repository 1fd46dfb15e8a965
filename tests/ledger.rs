//! The ledger of promises. Whoever gets an answer that he may rely on writes it down, in a file of his own that only grows;
//! afterwards the hive has to stand by every one of them. It knows the public API and nothing else.

pub mod check;
pub mod crowd;
pub mod remote;
pub mod self_test;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub use check::{Breach, Verdict, check};
pub use crowd::Crowd;
pub use remote::Remote;

/// Set to a file, every run whose figures are for people adds a line to it.
const REPORT: &str = "HIVE_TESTS_REPORT";

/// Adds the figures of a run to the report, if one is wanted.
///
/// # Errors
/// When the file cannot be written.
pub fn report(run: &str, verdict: &Verdict, mut figures: Value) -> Result<()> {
    let Some(path) = std::env::var_os(REPORT) else { return Ok(()) };
    figures["run"] = json!(run);
    if figures["database"].is_null() {
        figures["database"] = json!(crate::database::kind());
    }
    let counts = [
        ("accepted", verdict.accepted),
        ("completed", verdict.completed),
        ("refused", verdict.refused),
        ("events", verdict.events),
        ("broken", verdict.breaches.len()),
    ];
    for (name, count) in counts {
        figures[name] = json!(count);
    }
    let line = format!("{figures}\n");
    Ok(File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())?)
}

/// An answer that somebody relies on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// 201: the task is stored, and the key stands for it.
    Accepted {
        /// The idempotency key.
        key: String,
        /// The task.
        task: String,
    },
    /// 200 to `complete`: this attempt completed the task, with the result of [`result`].
    Completed {
        /// The task.
        task: String,
        /// The attempt.
        attempt: u64,
        /// Who reported.
        by: String,
    },
    /// 409 `stale_lease` to `complete`: this attempt did not complete the task.
    Refused {
        /// The task.
        task: String,
        /// The attempt.
        attempt: u64,
    },
}

impl Promise {
    fn line(&self) -> String {
        match self {
            Self::Accepted { key, task } => json!({"accepted": task, "key": key}),
            Self::Completed { task, attempt, by } => json!({"completed": task, "attempt": attempt, "by": by}),
            Self::Refused { task, attempt } => json!({"refused": task, "attempt": attempt}),
        }
        .to_string()
    }

    fn read(line: &str) -> Result<Self> {
        let noted: Value = serde_json::from_str(line).with_context(|| format!("{line:?} is no promise"))?;
        let text = |member: &str| noted[member].as_str().map(str::to_owned);
        let attempt = noted["attempt"].as_u64();
        Ok(match (text("accepted"), text("completed"), text("refused")) {
            (Some(task), None, None) => Self::Accepted { key: text("key").context("a key")?, task },
            (None, Some(task), None) => Self::Completed {
                task,
                attempt: attempt.context("an attempt")?,
                by: text("by").context("a name")?,
            },
            (None, None, Some(task)) => Self::Refused { task, attempt: attempt.context("an attempt")? },
            _ => anyhow::bail!("{line:?} is no promise"),
        })
    }
}

/// What is submitted under a key.
#[must_use]
pub fn task(key: &str) -> Value {
    json!({"title": key, "input": {"key": key}, "attempts_max": 100})
}

/// What a worker reports as the result of an attempt: nobody else reports the same.
#[must_use]
pub fn result(attempt: u64, by: &str) -> Value {
    json!({"attempt": attempt, "by": by})
}

/// Where one party writes down what it was promised. Only grows.
#[derive(Debug)]
pub struct Book(File);

impl Book {
    /// The book of `party` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: &Path, party: &str) -> Result<Self> {
        let path = folder.join(format!("{party}.ledger"));
        Ok(Self(File::options().create(true).append(true).open(path)?))
    }

    /// Writes a promise down.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, promise: &Promise) -> Result<()> {
        let line = promise.line() + "\n";
        Ok(self.0.write_all(line.as_bytes())?)
    }
}

/// Everything that was promised, from all books of a folder.
///
/// # Errors
/// When a book cannot be read, or holds anything else.
pub fn promises(folder: &Path) -> Result<Vec<Promise>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ledger") {
            let text = std::fs::read_to_string(&path)?;
            found.extend(text.lines().map(Promise::read).collect::<Result<Vec<_>>>()?);
        }
    }
    Ok(found)
}
