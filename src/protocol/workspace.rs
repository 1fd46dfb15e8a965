//! Worktrees on the hive's machine: what is there, and what a clean-up did.

use domain::{Limits, TaskId, Timestamp, Violations, WorkspaceReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Request;

/// What an attempt left in its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptWorkspaceView {
    /// Where it is, or was.
    pub path: String,
    /// Its branch; null where it is no worktree.
    pub branch: Option<String>,
    /// The commit that it began from.
    pub base: Option<String>,
    /// The commit that it ended on.
    pub head: Option<String>,
    /// How many files differ from the base: committed, edited or new.
    pub files_changed: Option<u64>,
    /// The difference from the base as `git diff` shows it, cut after 64 KiB.
    pub diff: Option<String>,
    /// Whether it is still there.
    pub kept: bool,
}

impl From<WorkspaceReport> for AttemptWorkspaceView {
    fn from(report: WorkspaceReport) -> Self {
        let WorkspaceReport { path, branch, base, head, files_changed, diff, is_kept } = report;
        Self { path, branch, base, head, files_changed, diff, kept: is_kept }
    }
}

/// A worktree that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceView {
    /// Of which task.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::TaskIdText)]
    pub task_id: TaskId,
    /// Of which attempt.
    pub attempt: u32,
    /// The name of the agent that worked there.
    pub agent: String,
    /// Where it is.
    pub path: String,
    /// The repository it belongs to.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The commit that it began from.
    pub base: String,
    /// The commit that it is on.
    pub head: Option<String>,
    /// How many files differ from the base.
    pub files_changed: Option<u64>,
    /// Whether everything in it is committed.
    pub clean: bool,
    /// Whether an attempt works there now.
    pub in_use: bool,
    /// When it was made.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// `POST /workspaces/prune`; the body may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"force": false})))]
#[serde(deny_unknown_fields, default)]
pub struct PruneWorkspaces {
    /// Removes those with uncommitted work, too. One that is in use always stays.
    pub force: bool,
}

impl Request for PruneWorkspaces {
    type Asked = Self;

    fn check(self, _: &Limits) -> Result<Self, Violations> {
        Ok(self)
    }
}

/// What became of one worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrunedView {
    /// Which, as it was before.
    #[serde(flatten)]
    pub workspace: WorkspaceView,
    /// Whether it is gone. Its branch, with what was committed there, stays.
    pub removed: bool,
    /// Why it stays.
    pub kept_because: Option<String>,
}
