//! Values of domain types as they stand in columns. NULL is the usual value, so that most rows hold and parse nothing.

use domain::{Backoff, Labels, Name, Timeouts, Timestamp, Usage, WorkspaceReport};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sql::failure::Failure;

/// Microseconds of an optional moment.
pub(crate) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}

/// An optional moment from its microseconds.
pub(crate) fn moment(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

/// A count in a column; counts stay far below the column's limit.
pub(crate) fn count_column(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A count from its column.
pub(crate) fn count(column: i32) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

/// A span of milliseconds in a column.
pub(crate) fn span_column(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// A span of milliseconds from its column.
pub(crate) fn span(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// Labels as JSON, unless there are none.
pub(crate) fn labels_column(labels: &Labels) -> Result<Option<String>, Failure> {
    if labels.is_empty() { Ok(None) } else { json(labels).map(Some) }
}

/// Labels from their column.
pub(crate) fn labels(column: Option<&str>) -> Result<Labels, Failure> {
    usual(column, "labels")
}

/// A backoff as JSON, unless it is the default.
pub(crate) fn backoff_column(backoff: &Backoff) -> Result<Option<String>, Failure> {
    if *backoff == Backoff::default() { Ok(None) } else { json(backoff).map(Some) }
}

/// A backoff from its column.
pub(crate) fn backoff(column: Option<&str>) -> Result<Backoff, Failure> {
    usual(column, "backoff")
}

/// Timeouts as JSON, unless there are none.
pub(crate) fn timeouts_column(timeouts: &Timeouts) -> Result<Option<String>, Failure> {
    if *timeouts == Timeouts::default() { Ok(None) } else { json(timeouts).map(Some) }
}

/// Timeouts from their column.
pub(crate) fn timeouts(column: Option<&str>) -> Result<Timeouts, Failure> {
    usual(column, "timeouts")
}

/// Usage as JSON, unless nothing is said.
pub(crate) fn usage_column(usage: Option<&Usage>) -> Result<Option<String>, Failure> {
    usage.filter(|usage| !usage.is_empty()).map(json).transpose()
}

/// Usage from its column.
pub(crate) fn usage(column: Option<&str>) -> Result<Option<Usage>, Failure> {
    column.map(|text| read(text, "usage")).transpose()
}

/// What was left in a workspace, as JSON.
pub(crate) fn workspace_column(workspace: Option<&WorkspaceReport>) -> Result<Option<String>, Failure> {
    workspace.map(json).transpose()
}

/// What was left in a workspace, from its column.
pub(crate) fn workspace(column: Option<&str>) -> Result<Option<WorkspaceReport>, Failure> {
    column.map(|text| read(text, "workspace")).transpose()
}

/// A name from its column.
pub(crate) fn name(column: &str) -> Result<Name, Failure> {
    column.parse().map_err(|_| Failure::corrupt("name", column))
}

/// A value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Unfit(error.to_string()))
}

fn usual<T: DeserializeOwned + Default>(column: Option<&str>, what: &str) -> Result<T, Failure> {
    column.map_or_else(|| Ok(T::default()), |text| read(text, what))
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::corrupt(what, error.to_string()))
}
