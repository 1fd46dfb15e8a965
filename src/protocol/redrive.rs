//! `POST /dead-letters/redrive`: dead letters are put back, by id or by filter, each with its own answer.

use std::collections::BTreeMap;
use std::fmt::Display;

use domain::{Limits, Review, TaskState, Violations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::check_count;
use crate::schemas::{AgentIdText, LabelsText, NameText, TaskIdText};
use crate::{ProblemDetails, Request, TaskQuery, TaskView, object, time, whole};

const MANY: u32 = 1_000;

/// Up to 1,000 dead letters: those in `task_ids`, or those that fit `filter`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"task_ids": ["task_04hmasw9nf6yf"]})))]
#[serde(deny_unknown_fields, default)]
pub struct Redrive {
    /// These; excludes `filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 1000)]
    pub task_ids: Option<Vec<String>>,
    /// The newest that fit; excludes `task_ids`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub filter: Option<RedriveFilter>,
    /// With `filter`: at most so many, 1 to 1,000; 1,000 when missing.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// With `filter`: `next_cursor` of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskIdText>)]
    pub cursor: Option<String>,
}

/// Which dead letters; a field that is missing fits all, `{}` fits every dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedriveFilter {
    /// In this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub queue: Option<String>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub kind: Option<String>,
    /// With all of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = LabelsText)]
    pub labels: BTreeMap<String, String>,
    /// Last held by this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AgentIdText>)]
    pub agent_id: Option<String>,
    /// Accepted after this moment, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub created_after: Option<String>,
    /// Accepted before this moment, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub created_before: Option<String>,
}

/// What a [`Redrive`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedriveAsked {
    /// These, as they were named.
    These(Vec<String>),
    /// The newest that fit.
    Fitting(Box<TaskQuery>),
}

impl Request for Redrive {
    type Asked = RedriveAsked;

    fn check(self, _: &Limits) -> Result<RedriveAsked, Violations> {
        match (self.task_ids, self.filter) {
            (Some(ids), None) => {
                let mut review = Review::new();
                review.require(self.limit.is_none(), "limit", "goes with filter only");
                review.require(self.cursor.is_none(), "cursor", "goes with filter only");
                review.finish()?;
                check_count(&ids, "task_ids").map(|()| RedriveAsked::These(ids))
            }
            (None, Some(filter)) => filter.check(self.limit, self.cursor),
            (Some(_), Some(_)) => {
                Err(Violations::one("filter", "cannot stand beside task_ids: name one of them"))
            }
            (None, None) => {
                Err(Violations::one("task_ids", "or filter is required; {\"filter\": {}} is all of them"))
            }
        }
    }
}

impl RedriveFilter {
    fn check(self, limit: Option<u32>, cursor: Option<String>) -> Result<RedriveAsked, Violations> {
        let mut review = Review::new();
        let in_range = limit.is_none_or(|limit| (1..=MANY).contains(&limit));
        review.require(in_range, "limit", "must be from 1 to 1000");
        let mut label = Vec::new();
        for (key, value) in self.labels {
            let name = read(&mut review, &format!("filter.labels.{key}"), Some(key), str::parse);
            label.extend(name.map(|name| (name, value)));
        }
        let cursor_rule = |text: &str| text.parse().map_err(|_| "is not the next_cursor of an answer");
        let query = TaskQuery {
            state: Some(TaskState::Failed),
            queue: read(&mut review, "filter.queue", self.queue, str::parse),
            agent_id: read(&mut review, "filter.agent_id", self.agent_id, str::parse),
            kind: read(&mut review, "filter.kind", self.kind, str::parse),
            label,
            created_after: read(&mut review, "filter.created_after", self.created_after, time::read),
            created_before: read(&mut review, "filter.created_before", self.created_before, time::read),
            limit: Some(limit.unwrap_or(MANY)),
            cursor: read(&mut review, "cursor", cursor, cursor_rule),
        };
        review.finish().map(|()| RedriveAsked::Fitting(Box::new(query)))
    }
}

fn read<T, E: Display>(
    review: &mut Review,
    field: &str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    match parse(&text?) {
        Ok(value) => Some(value),
        Err(error) => {
            review.note(field, error.to_string());
            None
        }
    }
}

/// Answer to a [`Redrive`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RedriveAnswer {
    /// One answer a task: in the order of `task_ids`, or the newest first.
    pub items: Vec<RedrivenItem>,
    /// With `filter`: where the next call goes on; null when nothing older is left to look at.
    pub next_cursor: Option<String>,
}

/// What became of one dead letter.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RedrivenItem {
    /// Which task, as it was named.
    pub task_id: String,
    /// The HTTP status that the single call would have had.
    pub status: u16,
    /// The task as it stands now, when `status` is 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskView>,
    /// What went wrong otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemDetails>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{self, Unreadable};

    fn asked(body: &str) -> Result<RedriveAsked, Vec<String>> {
        request::read::<Redrive>(body.as_bytes(), &Limits::default()).map_err(|error| match error {
            Unreadable::UnknownField(Violations(broken)) | Unreadable::InvalidValue(Violations(broken)) => {
                broken.into_iter().map(|violation| violation.field).collect()
            }
            Unreadable::Malformed(text) => vec![text],
        })
    }

    #[test]
    fn either_ids_or_a_filter_is_asked_for() {
        assert_eq!(asked(r#"{"task_ids":["a"]}"#), Ok(RedriveAsked::These(vec!["a".to_owned()])));
        let Ok(RedriveAsked::Fitting(all)) = asked(r#"{"filter":{}}"#) else { panic!("everything fits") };
        assert_eq!((all.state, all.limit), (Some(TaskState::Failed), Some(1_000)));
        assert_eq!(asked("{}"), Err(vec!["task_ids".to_owned()]));
        assert_eq!(asked(r#"{"task_ids":[]}"#), Err(vec!["task_ids".to_owned()]));
        assert_eq!(asked(r#"{"task_ids":["a"],"filter":{}}"#), Err(vec!["filter".to_owned()]));
        assert_eq!(asked(r#"{"task_ids":["a"],"limit":1}"#), Err(vec!["limit".to_owned()]));
    }

    #[test]
    fn a_thousand_at_a_time_are_the_most() {
        let many = |count| format!(r#"{{"task_ids":[{}]}}"#, vec![r#""a""#; count].join(","));
        assert!(matches!(asked(&many(1_000)), Ok(RedriveAsked::These(ids)) if ids.len() == 1_000));
        assert_eq!(asked(&many(1_001)), Err(vec!["task_ids".to_owned()]));
    }

    #[test]
    fn a_filter_is_read_strictly() {
        let body = r#"{"limit":1001,"cursor":"x","filter":{"queue":"Q","kind":"","agent_id":"ada",
            "labels":{"K":"v"},"created_after":"yesterday","created_before":"2026-01-01T00:00:00Z"}}"#;
        let expected = [
            "filter.labels.K",
            "limit",
            "filter.queue",
            "filter.agent_id",
            "filter.kind",
            "filter.created_after",
            "cursor",
        ];
        let mut broken = asked(body).unwrap_err();
        let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        broken.sort();
        expected.sort();
        assert_eq!(broken, expected);
        assert_eq!(asked(r#"{"filter":{"state":"failed"}}"#), Err(vec!["filter.state".to_owned()]));
    }
}
