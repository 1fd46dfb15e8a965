//! `POST /tasks/bulk`: many tasks in one commit, each with its own answer.

use domain::{Limits, Violations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::check_count;
use crate::{ProblemDetails, Request, SubmitTask, TaskView, object};

/// Up to 1,000 tasks. What is within the rules is stored in one commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"tasks": [{"title": "one"}, {"title": "two", "queue": "nightly"}]})))]
#[serde(deny_unknown_fields, default)]
pub struct SubmitMany {
    /// The tasks.
    #[serde(deserialize_with = "object::list")]
    #[schema(required = true, min_items = 1, max_items = 1000)]
    pub tasks: Vec<SubmitTask>,
}

impl Request for SubmitMany {
    type Asked = Vec<SubmitTask>;

    fn check(self, _: &Limits) -> Result<Vec<SubmitTask>, Violations> {
        check_count(&self.tasks, "tasks").map(|()| self.tasks)
    }
}

/// What became of one task of [`SubmitMany`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmittedItem {
    /// What `POST /tasks` would have answered: 201, 200, or that of the problem.
    pub status: u16,
    /// The task, without its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskView>,
    /// Why it was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemDetails>,
}
