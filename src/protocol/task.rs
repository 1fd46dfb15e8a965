//! A task as it is shown, and the small edits of one.

use std::collections::BTreeMap;

use domain::{AgentId, Labels, Limits, Review, TaskId, TaskState, Timestamp, Violations, limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::figures::{BackoffView, ErrorView, TimeoutsView, UsageView};
use crate::schemas::LabelsText;
use crate::submit_task::read_labels;
use crate::{Request, whole};

/// A task. Lists and answers to writes leave out `input` and `result`; `GET /tasks/{id}` has both.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its id: `task_` and 13 letters.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::TaskIdText)]
    pub id: TaskId,
    /// Whose it is.
    pub tenant: String,
    /// What people call it.
    pub title: String,
    /// What sort of work it is.
    pub kind: Option<String>,
    /// Which queue it waits in.
    pub queue: String,
    /// 0 to 9, 9 first.
    pub priority: u8,
    /// Capabilities an agent must have.
    pub requires: Vec<String>,
    /// For people and filters.
    pub labels: BTreeMap<String, String>,
    /// Where it stands.
    #[schema(value_type = crate::schemas::TaskStateText)]
    pub state: TaskState,
    /// How often it was claimed; the fencing number of the present attempt while it works.
    pub attempt: u32,
    /// How many attempts count against `attempts_max`.
    pub failures: u32,
    /// How many failures make it a dead letter.
    pub attempts_max: u32,
    /// How many attempts ended together with the hive that ran them; the third makes it a dead letter.
    pub crashes: u32,
    /// What the holder of the present attempt last said.
    pub progress: Option<ProgressView>,
    /// Who holds it, or held it last; before the first attempt, who it is pinned to.
    #[serde(with = "crate::text::option")]
    #[schema(value_type = Option<crate::schemas::AgentIdText>)]
    pub agent_id: Option<AgentId>,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// When it becomes ready, while it is scheduled.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub eligible_at: Option<Timestamp>,
    /// When it was accepted.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the last attempt began.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When the present lease expires.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_expires_at: Option<Timestamp>,
    /// The input, byte for byte as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub input: Option<Box<RawValue>>,
    /// The result, byte for byte as it came; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// Why the last ended attempt failed, or why the task expired while it waited.
    pub error: Option<ErrorView>,
    /// What the last ended attempt cost.
    pub usage: Option<UsageView>,
    /// How long things may take.
    pub timeouts: TimeoutsView,
    /// How long it waits between attempts.
    pub backoff: BackoffView,
    /// What ties log lines and events of the submitting request together.
    pub correlation_id: String,
    /// Who asked.
    pub created_by: String,
}

/// How far an attempt is; the latest word wins, and it is kept in memory only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProgressView {
    /// From 0 to 1.
    pub fraction: Option<f64>,
    /// A few words for people.
    pub message: Option<String>,
    /// When it was said.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// `POST /tasks/{id}/cancel`; the body may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"force": false})))]
#[serde(deny_unknown_fields, default)]
pub struct CancelTask {
    /// Takes the task from its holder at once, instead of asking it to end.
    pub force: bool,
}

impl Request for CancelTask {
    type Asked = Self;

    fn check(self, _: &Limits) -> Result<Self, Violations> {
        Ok(self)
    }
}

/// `PATCH /tasks/{id}`; what is missing stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"priority": 9})))]
#[serde(deny_unknown_fields, default)]
pub struct PatchTask {
    /// 0 to 9, 9 first.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9)]
    pub priority: Option<u32>,
    /// The new labels, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LabelsText>)]
    pub labels: Option<BTreeMap<String, String>>,
}

/// What a [`PatchTask`] asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskChange {
    /// The new priority.
    pub priority: Option<u8>,
    /// The new labels, all of them.
    pub labels: Option<Labels>,
}

impl Request for PatchTask {
    type Asked = TaskChange;

    fn check(self, _: &Limits) -> Result<TaskChange, Violations> {
        let mut review = Review::new();
        let priority = self.priority.map(|priority| u8::try_from(priority).unwrap_or(u8::MAX));
        let fits = priority.is_none_or(|priority| priority <= limits::PRIORITY_MAX);
        review.require(fits, "priority", "must be from 0 to 9");
        let labels = self.labels.map(|labels| read_labels(&mut review, labels));
        if let Some(labels) = &labels {
            domain::new_task::review_labels(&mut review, labels);
        }
        review.finish().map(|()| TaskChange { priority, labels })
    }
}
