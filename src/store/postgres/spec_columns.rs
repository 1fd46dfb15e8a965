//! What was asked for, as its columns hold it until it is written.

use std::sync::Arc;

use domain::{AcceptedTask, Name, Timestamp};

use crate::sql::columns;
use crate::sql::failure::Failure;

/// A new row of `task_specs`.
#[derive(Debug)]
pub(super) struct SpecColumns {
    pub task: i64,
    pub title: String,
    pub kind: Option<String>,
    pub labels: Option<String>,
    pub backoff: Option<String>,
    pub timeouts: Option<String>,
    pub correlation_id: Arc<str>,
    pub created_by: String,
    pub created_at: i64,
    pub input: Option<Arc<str>>,
}

impl SpecColumns {
    /// The row of a task that is being accepted.
    pub(super) fn of(task: &AcceptedTask, now: Timestamp) -> Result<Self, Failure> {
        let asked = &task.asked;
        Ok(Self {
            task: task.id.raw(),
            title: asked.title.clone(),
            kind: asked.kind.as_ref().map(Name::as_str).map(str::to_owned),
            labels: columns::labels_column(&asked.labels)?,
            backoff: columns::backoff_column(&asked.backoff)?,
            timeouts: columns::timeouts_column(&asked.timeouts)?,
            correlation_id: Arc::clone(&task.correlation_id),
            created_by: task.created_by.clone(),
            created_at: now.as_micros(),
            input: asked.input.as_ref().map(Arc::clone),
        })
    }
}
