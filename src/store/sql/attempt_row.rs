//! The row of an attempt: written once, at its end.

use crate::sql::conn::Conn;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};
use domain::attempt::{ERROR_KIND_CHARS_MAX, ERROR_MESSAGE_BYTES_MAX};
use domain::{AgentId, AttemptError, Outcome, Report, TaskId, Timestamp, Usage, WorkspaceReport};

use crate::record::AttemptRecord;
use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sql::task_row::TaskRow;

/// What is known at the end of an attempt beside its outcome.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending<'a> {
    /// What the holder reported; `None` when the hive ended it.
    pub report: Option<i16>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// What it left in its workspace.
    pub workspace: Option<&'a WorkspaceReport>,
    /// The result, as JSON.
    pub result: Option<&'a str>,
}

impl<'a> Ending<'a> {
    /// What a holder's report says. Errors that are too long are cut.
    pub(crate) fn of(report: &'a Report, workspace: Option<&'a WorkspaceReport>) -> Self {
        let (error, usage, result) = match report {
            Report::Succeeded { result, usage } => (None, usage, result.as_deref()),
            Report::Failed { error, usage, .. } | Report::TimedOut { error, usage } => {
                (Some(cut(error)), usage, None)
            }
            Report::HandedBack { reason, usage } => {
                (Some(AttemptError::stated("handed_back", *reason)), usage, None)
            }
        };
        Self { report: Some(report_code(report)), error, usage: *usage, workspace, result }
    }

    /// An error that the hive states.
    pub(crate) fn stated(kind: &'static str, message: &'static str) -> Self {
        Self { error: Some(AttemptError::stated(kind, message)), ..Self::default() }
    }
}

/// The stored number of what a holder reported.
pub(crate) const fn report_code(report: &Report) -> i16 {
    match report {
        Report::Succeeded { .. } => 0,
        Report::Failed { .. } => 1,
        Report::HandedBack { .. } => 2,
        Report::TimedOut { .. } => 3,
    }
}

fn cut(error: &AttemptError) -> AttemptError {
    AttemptError {
        kind: error.kind.chars().take(ERROR_KIND_CHARS_MAX).collect(),
        message: cut_at(&error.message, ERROR_MESSAGE_BYTES_MAX).to_owned(),
    }
}

/// The longest beginning of `text` that has at most `bytes_max` bytes and ends between two characters.
pub(crate) fn cut_at(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// A new row, until it is written.
#[derive(Debug)]
pub(crate) struct AttemptColumns {
    pub task: i64,
    pub attempt: i32,
    pub agent: Option<i64>,
    pub started_at: i64,
    pub ended_at: i64,
    pub outcome: i16,
    pub report: Option<i16>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
    pub usage: Option<String>,
    pub workspace: Option<String>,
    pub result: Option<String>,
}

impl AttemptColumns {
    fn of(
        task: &TaskRow,
        outcome: Outcome,
        ending: &Ending<'_>,
        ended_at: Timestamp,
    ) -> Result<Self, Failure> {
        let error = ending.error.as_ref();
        Ok(Self {
            task: task.id.raw(),
            attempt: columns::count_column(task.attempt),
            agent: task.agent.map(AgentId::raw),
            started_at: task.started_at.unwrap_or(ended_at).as_micros(),
            ended_at: ended_at.as_micros(),
            outcome: outcome.code(),
            report: ending.report,
            error_kind: error.map(|error| error.kind.clone()),
            error_message: error.map(|error| error.message.clone()),
            usage: columns::usage_column(ending.usage.as_ref())?,
            workspace: columns::workspace_column(ending.workspace)?,
            result: ending.result.map(str::to_owned),
        })
    }

    /// What a task shows of it.
    pub(crate) fn shown(&self) -> Result<LastEnded, Failure> {
        Ok(LastEnded {
            error: error(self.error_kind.clone(), self.error_message.clone()),
            usage: columns::usage(self.usage.as_deref())?,
        })
    }
}

/// Writes the row of the attempt that `task` was in; `task` still holds its number, its holder and its start.
pub(crate) fn insert(
    conn: &mut Conn,
    task: &TaskRow,
    outcome: Outcome,
    ending: &Ending<'_>,
    ended_at: Timestamp,
) -> Result<(), Failure> {
    if let Some(session) = conn.gathering() {
        session.add_attempt(AttemptColumns::of(task, outcome, ending, ended_at)?);
        return Ok(());
    }
    let usage = columns::usage_column(ending.usage.as_ref())?;
    let workspace = columns::workspace_column(ending.workspace)?;
    conn.execute(InsertAttempt {
        task: task.id.raw(),
        attempt: columns::count_column(task.attempt),
        agent: task.agent.map(AgentId::raw),
        started_at: task.started_at.unwrap_or(ended_at).as_micros(),
        ended_at: ended_at.as_micros(),
        outcome: outcome.code(),
        report: ending.report,
        error_kind: ending.error.as_ref().map(|error| error.kind.as_str()),
        error_message: ending.error.as_ref().map(|error| error.message.as_str()),
        usage: usage.as_deref(),
        workspace: workspace.as_deref(),
        result: ending.result,
    })?;
    Ok(())
}

/// What the holder of an ended attempt reported: `None` when there is no such row, `Some(None)` when it reported
/// nothing.
pub(crate) fn reported(conn: &mut Conn, task: TaskId, attempt: u32) -> Result<Option<Option<i16>>, Failure> {
    if let Some(found) = gathered(conn, task, attempt) {
        return Ok(Some(found.report));
    }
    let statement = LoadReport { task: task.raw(), attempt: columns::count_column(attempt) };
    Ok(conn.peek::<(Option<i16>,), _>(statement).optional()?.map(|(report,)| report))
}

/// Who held an ended attempt; `None` also where there is no such row.
pub(crate) fn holder(conn: &mut Conn, task: TaskId, attempt: u32) -> Result<Option<AgentId>, Failure> {
    if let Some(found) = gathered(conn, task, attempt) {
        return Ok(found.agent.map(AgentId::from_raw));
    }
    let statement = LoadHolder { task: task.raw(), attempt: columns::count_column(attempt) };
    let found = conn.peek::<(Option<i64>,), _>(statement).optional()?;
    Ok(found.and_then(|(agent,)| agent).map(AgentId::from_raw))
}

/// An attempt that ended in the open transaction and is not written yet.
fn gathered(conn: &mut Conn, task: TaskId, attempt: u32) -> Option<&AttemptColumns> {
    conn.gathering()?.attempt(task, columns::count_column(attempt))
}

/// The row as it is stored, without the result.
#[derive(Debug, Queryable)]
pub(crate) struct RawAttempt {
    attempt: i32,
    agent_id: Option<i64>,
    started_at: i64,
    ended_at: i64,
    outcome: i16,
    error_kind: Option<String>,
    error_message: Option<String>,
    usage: Option<String>,
    workspace: Option<String>,
}

impl TryFrom<RawAttempt> for AttemptRecord {
    type Error = Failure;

    fn try_from(raw: RawAttempt) -> Result<Self, Failure> {
        let outcome = Outcome::from_code(raw.outcome)
            .ok_or_else(|| Failure::corrupt("attempt", format!("unknown outcome {}", raw.outcome)))?;
        Ok(Self {
            attempt: columns::count(raw.attempt),
            agent: raw.agent_id.map(AgentId::from_raw),
            started_at: Timestamp::from_micros(raw.started_at),
            ended_at: Some(Timestamp::from_micros(raw.ended_at)),
            outcome: Some(outcome),
            error: error(raw.error_kind, raw.error_message),
            usage: columns::usage(raw.usage.as_deref())?,
            workspace: columns::workspace(raw.workspace.as_deref())?,
        })
    }
}

fn error(kind: Option<String>, message: Option<String>) -> Option<AttemptError> {
    kind.map(|kind| AttemptError { kind, message: message.unwrap_or_default() })
}

/// What a task shows of its last attempt that has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastEnded {
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// What it cost.
    pub usage: Option<Usage>,
}

/// The last attempt of a task that has ended; empty when none has. Lists read it for each task, so that it leaves out
/// what is long.
pub(crate) fn last_ended(conn: &mut Conn, task: TaskId) -> Result<LastEnded, Failure> {
    if let Some(found) = conn.gathering().and_then(|session| session.last_attempt(task)) {
        return found.shown();
    }
    let found = conn
        .peek::<(Option<String>, Option<String>, Option<String>), _>(LoadLastAttempt { task: task.raw() })
        .optional()?;
    let Some((kind, message, usage)) = found else { return Ok(LastEnded::default()) };
    Ok(LastEnded { error: error(kind, message), usage: columns::usage(usage.as_deref())? })
}

statement! {
    /// A new row.
    InsertAttempt<'a> {
        task: i64, attempt: i32, agent: Option<i64>, started_at: i64, ended_at: i64, outcome: i16,
        report: Option<i16>, error_kind: Option<&'a str>, error_message: Option<&'a str>, usage: Option<&'a str>,
        workspace: Option<&'a str>, result: Option<&'a str>,
    } =
    "INSERT INTO attempts (task_id, attempt, agent_id, started_at, ended_at, outcome, report, error_kind, \
     error_message, usage, workspace, result) VALUES ("; task, ", "; attempt, ", "; agent, ", "; started_at,
    ", "; ended_at, ", "; outcome, ", "; report, ", "; error_kind, ", "; error_message, ", "; usage,
    ", "; workspace, ", "; result, ")"
}

statement! {
    /// What the holder of an attempt reported.
    LoadReport { task: i64, attempt: i32 } -> (Nullable<SmallInt>,) =
    "SELECT report FROM attempts WHERE task_id = "; task, " AND attempt = "; attempt
}

statement! {
    /// Who held it.
    LoadHolder { task: i64, attempt: i32 } -> (Nullable<BigInt>,) =
    "SELECT agent_id FROM attempts WHERE task_id = "; task, " AND attempt = "; attempt
}

statement! {
    /// The newest row of a task.
    LoadLastAttempt { task: i64 } -> (Nullable<Text>, Nullable<Text>, Nullable<Text>) =
    "SELECT error_kind, error_message, usage FROM attempts WHERE task_id = "; task,
    " ORDER BY attempt DESC LIMIT 1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut_at("aäb", 2), "a");
        assert_eq!(cut_at("aäb", 3), "aä");
        assert_eq!(cut_at("aäb", 9), "aäb");
        assert_eq!(cut_at("ä", 0), "");
    }
}
