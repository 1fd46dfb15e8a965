//! Compares what was promised with what the hive says now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use anyhow::{Context, Result, bail};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::Value;

use super::{Promise, Remote, result, task};

/// Tasks whose results are read, and keys that are sent again, at a time.
const AT_A_TIME: usize = 16;

/// A promise that was not kept, or a log that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// A task was acknowledged and is not there.
    Missing(String),
    /// A completion was acknowledged and the task is in another state.
    NotCompleted(String, String),
    /// A task was completed so often.
    CompletedTwice(String, usize),
    /// A completion was acknowledged, and another attempt or nobody completed the task.
    OtherAttempt(String, u64),
    /// A completion was refused, and the log says that it completed the task.
    RefusedButDone(String, u64),
    /// A task has another result than the one that was acknowledged.
    OtherResult(String),
    /// One key stands for two tasks.
    TwoTasksForAKey(String),
    /// Two keys stand for one task.
    TwoKeysForATask(String),
    /// The log has no such `seq`, or has it in another place.
    LogHole(i64),
    /// The log has a `seq` twice.
    LogTwice(i64),
    /// The state of a task is not what the log says.
    StateAgainstLog(String),
    /// The hive counts another number of tasks than it lists.
    Miscounted(u64, u64),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(task) => write!(f, "{task} was acknowledged and is missing"),
            Self::NotCompleted(task, state) => {
                write!(f, "the completion of {task} was acknowledged and it is {state}")
            }
            Self::CompletedTwice(task, times) => write!(f, "{task} was completed {times} times"),
            Self::OtherAttempt(task, attempt) => {
                write!(f, "attempt {attempt} of {task} was told that it completed it and did not")
            }
            Self::RefusedButDone(task, attempt) => {
                write!(f, "attempt {attempt} of {task} was refused and completed it")
            }
            Self::OtherResult(task) => write!(f, "{task} has another result than was acknowledged"),
            Self::TwoTasksForAKey(key) => write!(f, "the key {key} stands for two tasks"),
            Self::TwoKeysForATask(task) => write!(f, "two keys were answered with {task}"),
            Self::LogHole(seq) => write!(f, "the log has no event {seq} in its place"),
            Self::LogTwice(seq) => write!(f, "the log has the event {seq} twice"),
            Self::StateAgainstLog(task) => write!(f, "the log does not say that {task} came to its state"),
            Self::Miscounted(counted, listed) => write!(f, "{counted} tasks are counted and {listed} listed"),
        }
    }
}

/// What a check has found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Acknowledged submits that were looked at.
    pub accepted: usize,
    /// Acknowledged completions that were looked at.
    pub completed: usize,
    /// Refused completions that were looked at.
    pub refused: usize,
    /// Events of the log.
    pub events: usize,
    /// Everything that is wrong.
    pub breaches: BTreeSet<Breach>,
}

/// Looks at everything. The hive should be at rest.
///
/// # Errors
/// When the hive does not answer as documented.
pub async fn check(hive: &Remote, promises: &[Promise]) -> Result<Verdict> {
    let (states, log) = (states(hive).await?, Log::read(hive).await?);
    let mut verdict = Verdict { events: log.events, breaches: log.breaches, ..Verdict::default() };
    let breaches = &mut verdict.breaches;
    let counted = hive.get("/api/v2/system").await?["tasks"]["total"].as_u64().context("a count")?;
    let listed = u64::try_from(states.len())?;
    if counted != listed {
        breaches.insert(Breach::Miscounted(counted, listed));
    }
    for (task, state) in &states {
        let times = log.completions.get(task).map_or(0, Vec::len);
        if times > 1 {
            breaches.insert(Breach::CompletedTwice(task.clone(), times));
        }
        if (state == "completed") != (times > 0) {
            breaches.insert(Breach::StateAgainstLog(task.clone()));
        }
    }
    let mut tasks_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut keys_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut results = Vec::new();
    for promise in promises {
        match promise {
            Promise::Accepted { key, task } => {
                verdict.accepted += 1;
                tasks_of.entry(key).or_default().insert(task);
                keys_of.entry(task).or_default().insert(key);
                if !states.contains_key(task) {
                    breaches.insert(Breach::Missing(task.clone()));
                }
            }
            Promise::Completed { task, attempt, by } => {
                verdict.completed += 1;
                let state = states.get(task).map_or("missing", String::as_str);
                if state != "completed" {
                    breaches.insert(Breach::NotCompleted(task.clone(), state.to_owned()));
                } else if log.completions.get(task).is_none_or(|attempts| !attempts.contains(attempt)) {
                    breaches.insert(Breach::OtherAttempt(task.clone(), *attempt));
                } else {
                    results.push((task.clone(), result(*attempt, by)));
                }
            }
            Promise::Refused { task, attempt } => {
                verdict.refused += 1;
                if log.completions.get(task).is_some_and(|attempts| attempts.contains(attempt)) {
                    breaches.insert(Breach::RefusedButDone(task.clone(), *attempt));
                }
            }
        }
    }
    breaches.extend(tasks_of.iter().filter(|(_, tasks)| tasks.len() > 1).map(|(key, _)| two_tasks(key)));
    breaches.extend(
        keys_of
            .iter()
            .filter(|(_, keys)| keys.len() > 1)
            .map(|(task, _)| Breach::TwoKeysForATask((*task).to_owned())),
    );
    breaches.extend(other_results(hive, results).await?);
    breaches.extend(other_tasks(hive, &tasks_of).await?);
    Ok(verdict)
}

fn two_tasks(key: &str) -> Breach {
    Breach::TwoTasksForAKey(key.to_owned())
}

/// Every task with its state.
async fn states(hive: &Remote) -> Result<HashMap<String, String>> {
    let (mut found, mut cursor) = (HashMap::new(), String::new());
    loop {
        let page = hive.get(&format!("/api/v2/tasks?limit=200{cursor}")).await?;
        for task in page["items"].as_array().context("items")? {
            let text = |member: &str| task[member].as_str().map(str::to_owned).context("a text");
            found.insert(text("id")?, text("state")?);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(found),
        }
    }
}

/// What the log says.
#[derive(Debug, Default)]
struct Log {
    events: usize,
    /// The attempts that completed a task, by task.
    completions: HashMap<String, Vec<u64>>,
    breaches: BTreeSet<Breach>,
}

impl Log {
    async fn read(hive: &Remote) -> Result<Self> {
        let first = hive.get("/api/v2/system").await?["log"]["first_seq"].as_i64().context("a seq")?;
        let mut log = Self::default();
        let mut expected = first;
        loop {
            let page = hive.get(&format!("/api/v2/events?after={}&limit=200", expected - 1)).await?;
            let events = page["items"].as_array().context("items")?;
            if events.is_empty() {
                return Ok(log);
            }
            for event in events {
                let seq = event["seq"].as_i64().context("a seq")?;
                if seq < expected {
                    log.breaches.insert(Breach::LogTwice(seq));
                    continue;
                }
                log.breaches.extend((expected..seq).map(Breach::LogHole));
                expected = seq + 1;
                log.note(event)?;
            }
        }
    }

    fn note(&mut self, event: &Value) -> Result<()> {
        self.events += 1;
        if event["kind"] == "task.completed" {
            let task = event["task_id"].as_str().context("a task")?.to_owned();
            let attempt = event["attempt"].as_u64().context("an attempt")?;
            self.completions.entry(task).or_default().push(attempt);
        }
        Ok(())
    }
}

/// Tasks whose result is not the acknowledged one.
async fn other_results(hive: &Remote, results: Vec<(String, Value)>) -> Result<Vec<Breach>> {
    let looked = stream::iter(results).map(|(task, expected)| async move {
        let there = hive.get(&format!("/api/v2/tasks/{task}")).await?;
        anyhow::Ok((there["result"] != expected).then_some(Breach::OtherResult(task)))
    });
    looked.buffer_unordered(AT_A_TIME).try_filter_map(|breach| async move { Ok(breach) }).try_collect().await
}

/// Keys that, sent again, are answered with another task than the first time.
async fn other_tasks(hive: &Remote, tasks_of: &BTreeMap<&str, BTreeSet<&str>>) -> Result<Vec<Breach>> {
    let asked = stream::iter(tasks_of).map(|(key, tasks)| async move {
        let told = hive.ask(Method::POST, "/api/v2/tasks", Some(key), &task(key)).await?;
        let Some(id) = told.body["id"].as_str() else { bail!("the key {key} was answered {}", told.body) };
        anyhow::Ok((!(tasks.contains(id) && told.is_replayed)).then(|| two_tasks(key)))
    });
    asked.buffer_unordered(AT_A_TIME).try_filter_map(|breach| async move { Ok(breach) }).try_collect().await
}
