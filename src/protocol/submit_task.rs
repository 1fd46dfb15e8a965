//! `POST /tasks`: what is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{
    Labels, Limits, Name, NewTask, OnConflict, Review, Start, Unique, UniqueUntil, Violations, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::figures::{BackoffView, TimeoutsView};
use crate::schemas::{AgentIdText, LabelsText, NameText};
use crate::{Request, object, time, whole};

/// The queue of a task that names none.
pub const QUEUE_DEFAULT: &str = "default";

/// A task as somebody asks for it. Only `title` is required.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"title": "Summarize the report", "input": {"text": "Sales rose by a tenth."}, "priority": 7, "labels": {"customer": "acme"}})))]
#[serde(deny_unknown_fields, default)]
pub struct SubmitTask {
    /// What people call it, 1 to 256 characters.
    #[schema(required = true, min_length = 1, max_length = 256, pattern = r"\S")]
    pub title: String,
    /// Any JSON for the agent, kept byte for byte: at most 1 MiB, 64 levels, no U+0000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub input: Option<Box<RawValue>>,
    /// Which queue it waits in; `default` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub queue: Option<String>,
    /// What sort of work it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub kind: Option<String>,
    /// 0 to 9, 9 first; 5 when missing.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9)]
    pub priority: Option<u32>,
    /// Capabilities an agent must have, at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<NameText>, max_items = 16)]
    pub requires: Vec<String>,
    /// For people and filters, at most 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = LabelsText)]
    pub labels: BTreeMap<String, String>,
    /// The one agent that may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AgentIdText>)]
    pub agent_id: Option<String>,
    /// Not before so many milliseconds from now; excludes `eligible_at`.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 31_622_400_000_u64)]
    pub delay_ms: Option<u64>,
    /// Not before this moment; excludes `delay_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub eligible_at: Option<String>,
    /// How many failures make it a dead letter, 1 to 100; 3 when missing.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub attempts_max: Option<u32>,
    /// How long it waits between attempts.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub backoff: Option<BackoffView>,
    /// How long things may take.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub timeouts: Option<TimeoutsView>,
    /// A key that no other task may have at the same time.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub unique: Option<UniqueView>,
}

/// A key of the tenant, over all queues, that only one task may have at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UniqueView {
    /// The key, 1 to 256 characters.
    #[schema(required = true, min_length = 1, max_length = 256)]
    pub key: String,
    /// What a submit gets whose key another task has: `return_existing` (200 with that task; the default) or `reject`
    /// (409 `unique_conflict`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(return_existing|reject)$")]
    pub on_conflict: Option<String>,
    /// How long the task has it: until it is `terminal` (the default) or `forever`; excludes `ttl_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(terminal|forever)$")]
    pub until: Option<String>,
    /// It has it for so many milliseconds from its submit, 366 days at most; excludes `until`.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31_622_400_000_u64)]
    pub ttl_ms: Option<u64>,
}

impl UniqueView {
    fn check(self, review: &mut Review) -> Unique {
        let on_conflict = match self.on_conflict.as_deref() {
            None | Some("return_existing") => OnConflict::ReturnExisting,
            Some("reject") => OnConflict::Reject,
            Some(_) => {
                review.note("unique.on_conflict", "must be return_existing or reject");
                OnConflict::Reject
            }
        };
        let until = match (self.until.as_deref(), self.ttl_ms) {
            (None, None) | (Some("terminal"), None) => UniqueUntil::Terminal,
            (Some("forever"), None) => UniqueUntil::Forever,
            (None, Some(ms)) => UniqueUntil::For(ms),
            (Some(_), Some(_)) => {
                review.note("unique.ttl_ms", "cannot stand beside until: name one of them");
                UniqueUntil::Terminal
            }
            (Some(_), None) => {
                review.note("unique.until", "must be terminal or forever; or name ttl_ms");
                UniqueUntil::Terminal
            }
        };
        Unique { key: self.key, until, on_conflict }
    }
}

impl Request for SubmitTask {
    type Asked = NewTask;

    fn check(self, limits: &Limits) -> Result<NewTask, Violations> {
        let mut review = Review::new();
        // With the default in place of a queue that is none, the other rules can still be checked.
        let queue = self.queue.and_then(|queue| review.take("queue", queue.parse::<Name>()));
        let queue = queue.or_else(|| QUEUE_DEFAULT.parse().ok());
        let asked = queue.map(|queue| NewTask {
            queue,
            input: self.input.map(|input| Arc::from(input.get())),
            kind: self.kind.and_then(|kind| review.take("kind", kind.parse())),
            priority: self
                .priority
                .map_or(limits::PRIORITY_DEFAULT, |priority| u8::try_from(priority).unwrap_or(u8::MAX)),
            requires: names(&mut review, "requires", &self.requires, limits::REQUIRES_MAX),
            labels: read_labels(&mut review, self.labels),
            agent_id: self.agent_id.and_then(|id| review.take("agent_id", id.parse())),
            start: start(&mut review, self.delay_ms, self.eligible_at.as_deref()),
            attempts_max: self.attempts_max.unwrap_or(limits::ATTEMPTS_MAX_DEFAULT),
            backoff: self.backoff.unwrap_or_default().into(),
            timeouts: self.timeouts.unwrap_or_default().into(),
            unique: self.unique.map(|unique| unique.check(&mut review)),
            title: self.title,
        });
        let mut broken = review.finish().err().map_or_else(Vec::new, |Violations(broken)| broken);
        let Some(asked) = asked else { return Err(Violations(broken)) };
        if let Err(Violations(more)) = asked.review(limits) {
            broken.extend(more);
        }
        if broken.is_empty() { Ok(asked) } else { Err(Violations(broken)) }
    }
}

fn start(review: &mut Review, delay_ms: Option<u64>, eligible_at: Option<&str>) -> Start {
    let at = eligible_at.and_then(|text| review.take("eligible_at", time::read(text)));
    review.require(
        delay_ms.is_none() || eligible_at.is_none(),
        "eligible_at",
        "cannot stand beside delay_ms: name one of them",
    );
    match (delay_ms, at) {
        (Some(ms), _) => Start::After(ms),
        (None, Some(at)) => Start::At(at),
        (None, None) => Start::Now,
    }
}

/// Reads at most `max` names of a list; each that is none is noted with its place.
pub(crate) fn names(review: &mut Review, field: &str, texts: &[String], max: usize) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for (place, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(name) => {
                names.insert(name);
            }
            Err(error) => {
                let error: domain::name::NotAName = error;
                review.note(format!("{field}[{place}]"), error.to_string());
            }
        }
    }
    // What is too many even without repeats is told by the rules.
    let is_short = texts.len() <= max || names.len() > max;
    review.require(is_short, field, &format!("may name at most {max} capabilities, repeats included"));
    names
}

/// Reads labels; each key that is not a name is noted.
pub(crate) fn read_labels(review: &mut Review, labels: BTreeMap<String, String>) -> Labels {
    let mut read = Labels::new();
    for (key, value) in labels {
        match key.parse::<Name>() {
            Ok(name) => {
                read.insert(name, value);
            }
            Err(error) => review.note(format!("labels.{key}"), error.to_string()),
        }
    }
    read
}

#[cfg(test)]
#[path = "submit_task_tests.rs"]
mod tests;
