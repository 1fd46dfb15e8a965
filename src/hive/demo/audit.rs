//! Holds a demo's tasks against what must have come out: reads every task and every attempt over the API, and compares.
//!
//! Invariant: nothing is taken from the demo's own progress: what is counted here was read from the API after the work.

use std::collections::HashMap;

use client::Client;
use domain::{AgentId, Outcome, TaskState};
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::query::PageQuery;
use protocol::{AttemptView, TaskView};
use serde_json::Value;

use super::crew::Given;
use super::figures::Figures;
use super::patience::patiently;
use super::roles::{LAST_WORDS, ROLES};
use crate::failure::Failure;

/// Requests under way at a time.
const REQUESTS: usize = 16;
/// Longest value that a difference shows, in characters.
const SHOWN_CHARS: usize = 300;

/// The agents by their id, each with the place of its role in [`ROLES`].
pub type Agents = HashMap<AgentId, usize>;

/// What the API says of a task.
#[derive(Debug)]
pub struct Evidence {
    /// The task with its result.
    pub task: TaskView,
    /// Its attempts, the first one first.
    pub attempts: Vec<AttemptView>,
    /// What its first attempt printed; read of tasks that stumble only.
    pub printed: Option<String>,
}

/// What came of an audit.
#[derive(Debug, Default)]
pub struct Audit {
    /// What was measured.
    pub figures: Figures,
    /// What is not as it must be, a sentence each.
    pub differences: Vec<String>,
}

/// Looks at all tasks.
///
/// # Errors
/// A [`Failure`] when the API does not answer.
pub async fn audit(client: &Client, given: &[Given], agents: &Agents) -> Result<Audit, Failure> {
    let looks = stream::iter(given).map(|given| async move {
        let evidence = gather(client, given).await?;
        Ok::<_, Failure>((given, evidence))
    });
    let mut looks = looks.buffered(REQUESTS);
    let mut audit = Audit::default();
    audit.figures.agents = agents.len();
    while let Some((given, evidence)) = looks.try_next().await? {
        audit.figures.count(&evidence.attempts);
        audit.figures.tasks += 1;
        let found = differences(given, &evidence, agents);
        audit.figures.tasks_right += usize::from(found.is_empty());
        let name = |what| format!("{} ({}): {what}", given.job.title, given.id);
        audit.differences.extend(found.into_iter().map(name));
    }
    Ok(audit)
}

async fn gather(client: &Client, given: &Given) -> Result<Evidence, Failure> {
    let page = PageQuery { limit: Some(protocol::page::LIMIT_MAX), cursor: None };
    let task = patiently(async || client.task(given.id).await).await?.into_value();
    let mut attempts = patiently(async || client.attempts(given.id, &page).await).await?.into_value().items;
    attempts.sort_by_key(|attempt| attempt.attempt);
    let printed = if given.job.stumbles {
        let pieces = patiently(async || client.output(given.id, &page).await).await?.into_value().items;
        let first = pieces.into_iter().filter(|piece| piece.attempt == 1);
        Some(first.map(|piece| piece.text).collect())
    } else {
        None
    };
    Ok(Evidence { task, attempts, printed })
}

/// Everything about a task that is not as it must be.
pub fn differences(given: &Given, evidence: &Evidence, agents: &Agents) -> Vec<String> {
    let Evidence { task, attempts, printed } = evidence;
    let mut found = Vec::new();
    if task.state != TaskState::Completed {
        let why = task.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
        found.push(format!("it is {}{why}", task.state.as_str()));
    }
    let result = task.result.as_ref().and_then(|result| serde_json::from_str::<Value>(result.get()).ok());
    if result.as_ref() != Some(&given.job.expected) {
        let there = result.map_or_else(|| "missing".to_owned(), |result| shown(&result));
        found.push(format!("the result is {there} and must be {}", shown(&given.job.expected)));
    }
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
    if !numbers.iter().copied().eq(1..=task.attempt) {
        found.push(format!("its {} attempts have the numbers {numbers:?}", task.attempt));
    }
    let stumbles = u32::from(given.job.stumbles);
    if (task.failures, task.crashes) != (stumbles, 0) {
        found.push(format!("it counts {} failures and {} crashes of the hive", task.failures, task.crashes));
    }
    let expected: &[&str] =
        if given.job.stumbles { &["failed: signal", "succeeded"] } else { &["succeeded"] };
    let ends: Vec<String> = attempts.iter().map(end).collect();
    if !ends.iter().eq(expected) {
        found.push(format!("its attempts ended {ends:?} and must have ended {expected:?}"));
    }
    found.extend(attempts.iter().flat_map(|attempt| broken(attempt, given.role, agents)));
    let is_apart = |pair: &[AttemptView]| match pair {
        [one, next] => one.ended_at.is_some_and(|ended_at| ended_at <= next.started_at),
        _ => true,
    };
    if !attempts.windows(2).all(is_apart) {
        found.push("two attempts ran at the same time".to_owned());
    }
    if let Some(printed) = printed.as_ref().filter(|printed| !printed.contains(LAST_WORDS)) {
        found.push(format!("of its first attempt only {printed:?} was kept, without its last words"));
    }
    found
}

/// `succeeded`, or `failed: ` and the kind of error.
fn end(attempt: &AttemptView) -> String {
    let outcome = attempt.outcome.map_or("not at all", Outcome::as_str);
    match &attempt.error {
        Some(error) => format!("{outcome}: {}", error.kind),
        None => outcome.to_owned(),
    }
}

/// What is wrong with an attempt by itself.
fn broken(attempt: &AttemptView, role: usize, agents: &Agents) -> Vec<String> {
    let mut found = Vec::new();
    let usage = attempt.usage.unwrap_or_default();
    if usage.cpu_ms.is_none() || usage.peak_rss_bytes.is_none_or(|bytes| bytes == 0) {
        found.push(format!("attempt {} does not say what it used", attempt.attempt));
    }
    let holder = attempt.agent_id.and_then(|id| agents.get(&id)).copied();
    if holder != Some(role) {
        let name = |place: usize| ROLES.get(place).map_or("nobody", |role| role.name);
        let (there, wanted) = (holder.map_or("a stranger", name), name(role));
        found.push(format!("attempt {} was held by {there} in place of {wanted}", attempt.attempt));
    }
    if attempt.ended_at.is_none_or(|ended_at| ended_at < attempt.started_at) {
        found.push(format!("attempt {} has no end after its start", attempt.attempt));
    }
    found
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
