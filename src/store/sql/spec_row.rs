//! The cold row of a task: what was asked for.

use std::sync::Arc;

use crate::sql::conn::Conn;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::{AcceptedTask, Backoff, Labels, Name, TaskId, Timeouts, Timestamp};

use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// The columns of [`RawSpec`], in order.
macro_rules! spec_columns {
    () => {
        "s.title, s.kind, s.labels, s.backoff, s.timeouts, s.correlation_id, s.created_by, s.created_at"
    };
}
pub(crate) use spec_columns;

/// The SQL types of [`spec_columns`].
pub(crate) type SpecSql =
    (Text, Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<Text>, Text, Text, BigInt);

/// The row as it is stored, without the input.
#[derive(Debug, Queryable)]
pub(crate) struct RawSpec {
    title: String,
    kind: Option<String>,
    labels: Option<String>,
    backoff: Option<String>,
    timeouts: Option<String>,
    correlation_id: String,
    created_by: String,
    created_at: i64,
}

/// What was asked for, without the input.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub title: String,
    pub kind: Option<Name>,
    pub labels: Labels,
    pub backoff: Backoff,
    pub timeouts: Timeouts,
    pub correlation_id: Arc<str>,
    pub created_by: String,
    pub created_at: Timestamp,
}

impl Spec {
    /// The spec of a task that has one.
    pub(crate) fn load(conn: &mut Conn, task: TaskId) -> Result<Self, Failure> {
        if let Some(session) = conn.gathering() {
            return session.spec(task);
        }
        let raw = conn.get_result::<RawSpec, _>(LoadSpec { task: task.raw() }).optional()?;
        let raw = raw.ok_or_else(|| Failure::corrupt("spec", "what was asked for is not there"))?;
        Self::try_from(raw)
    }

    /// The spec of a task that is being accepted.
    pub(crate) fn of(task: &AcceptedTask, now: Timestamp) -> Self {
        Self {
            title: task.asked.title.clone(),
            kind: task.asked.kind.clone(),
            labels: task.asked.labels.clone(),
            backoff: task.asked.backoff,
            timeouts: task.asked.timeouts,
            correlation_id: Arc::clone(&task.correlation_id),
            created_by: task.created_by.clone(),
            created_at: now,
        }
    }

    /// Writes the row of a task that is being accepted.
    pub(crate) fn insert(conn: &mut Conn, task: &AcceptedTask, now: Timestamp) -> Result<(), Failure> {
        if let Some(session) = conn.gathering() {
            return session.add_spec(task, now);
        }
        let columns = SpecColumns::of(task, now)?;
        if let Some(session) = conn.adding() {
            session.add_spec(columns);
            return Ok(());
        }
        conn.execute(InsertSpec::from(&columns))?;
        Ok(())
    }

    /// Replaces the labels of a task.
    pub(crate) fn store_labels(conn: &mut Conn, task: TaskId, labels: &Labels) -> Result<(), Failure> {
        let labels = columns::labels_column(labels)?;
        conn.execute(StoreLabels { task: task.raw(), labels: labels.as_deref() })?;
        Ok(())
    }
}

/// What was asked for, as its columns hold it until it is written.
#[derive(Debug)]
pub(crate) struct SpecColumns {
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
    pub(crate) fn of(task: &AcceptedTask, now: Timestamp) -> Result<Self, Failure> {
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

impl<'a> From<&'a SpecColumns> for InsertSpec<'a> {
    fn from(spec: &'a SpecColumns) -> Self {
        Self {
            task: spec.task,
            title: &spec.title,
            kind: spec.kind.as_deref(),
            labels: spec.labels.as_deref(),
            backoff: spec.backoff.as_deref(),
            timeouts: spec.timeouts.as_deref(),
            correlation_id: &spec.correlation_id,
            created_by: &spec.created_by,
            created_at: spec.created_at,
            input: spec.input.as_deref(),
        }
    }
}

impl TryFrom<RawSpec> for Spec {
    type Error = Failure;

    fn try_from(raw: RawSpec) -> Result<Self, Failure> {
        Ok(Self {
            kind: raw.kind.as_deref().map(columns::name).transpose()?,
            labels: columns::labels(raw.labels.as_deref())?,
            backoff: columns::backoff(raw.backoff.as_deref())?,
            timeouts: columns::timeouts(raw.timeouts.as_deref())?,
            title: raw.title,
            correlation_id: raw.correlation_id.into(),
            created_by: raw.created_by,
            created_at: Timestamp::from_micros(raw.created_at),
        })
    }
}

statement! {
    /// One row by its task.
    LoadSpec { task: i64 } -> SpecSql =
    concat!("SELECT ", spec_columns!(), " FROM task_specs s WHERE s.task_id = "); task
}

statement! {
    /// A new row.
    InsertSpec<'a> {
        task: i64, title: &'a str, kind: Option<&'a str>, labels: Option<&'a str>, backoff: Option<&'a str>,
        timeouts: Option<&'a str>, correlation_id: &'a str, created_by: &'a str, created_at: i64,
        input: Option<&'a str>,
    } =
    "INSERT INTO task_specs (task_id, title, kind, labels, backoff, timeouts, correlation_id, created_by, \
     created_at, input) VALUES ("; task, ", "; title, ", "; kind, ", "; labels, ", "; backoff, ", "; timeouts,
    ", "; correlation_id, ", "; created_by, ", "; created_at, ", "; input, ")"
}

statement! {
    /// Other labels.
    StoreLabels<'a> { task: i64, labels: Option<&'a str> } =
    "UPDATE task_specs SET labels = "; labels, " WHERE task_id = "; task
}
