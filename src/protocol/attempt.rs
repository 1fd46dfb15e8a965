//! Attempts of a task and their output, as they are shown.

use domain::{AgentId, Outcome, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::figures::{ErrorView, UsageView};
use crate::workspace::AttemptWorkspaceView;

/// One try at a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// Its number, 1-based; the fencing number.
    pub attempt: u32,
    /// Who held it.
    #[serde(with = "crate::text::option")]
    #[schema(value_type = Option<crate::schemas::AgentIdText>)]
    pub agent_id: Option<AgentId>,
    /// When it began.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended; null for the present one.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How it ended; null for the present one.
    #[schema(value_type = Option<String>, pattern = "^(succeeded|failed|timed_out|lease_lost|canceled|interrupted|crashed)$")]
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub error: Option<ErrorView>,
    /// What it cost.
    pub usage: Option<UsageView>,
    /// What it left in its workspace; null for an attempt without one, and while it works.
    pub workspace: Option<AttemptWorkspaceView>,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// Of which attempt.
    pub attempt: u32,
    /// Its place within the attempt, 1-based.
    pub chunk: u32,
    /// When it was stored.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The text.
    pub text: String,
    /// Whether output after this piece was cut.
    pub truncated: bool,
}
