//! Lists the worktrees that are there, and removes those that are done with.
//!
//! Invariant: one in use is never removed, and none with a commit that no branch leads to; without force, none with work
//! that is not committed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::{TaskId, Timestamp};

use super::error::WorkspaceError;
use super::record::{Record, is_there};
use super::survey::Survey;
use super::{Place, Pruned, WorkspaceRecord};

/// How long a list begins to look into worktrees; those that are left are listed without what they hold.
const LIST_TIME_MAX: Duration = Duration::from_secs(20);
/// Why a worktree stays that would take a commit with it.
const LOOSE: &str = "it is on a commit that no branch leads to";

/// What was found at the place of a worktree.
enum Found {
    /// The folder is gone.
    Gone,
    /// What it holds.
    Held { head: String, files_changed: Option<u64>, is_clean: bool, obstacle: Option<&'static str> },
    /// It cannot be looked at.
    Unknown(&'static str),
}

/// All of them, oldest first.
pub(super) fn list(place: &Place) -> Result<Vec<WorkspaceRecord>, WorkspaceError> {
    list_within(place, LIST_TIME_MAX)
}

fn list_within(place: &Place, time_max: Duration) -> Result<Vec<WorkspaceRecord>, WorkspaceError> {
    let deadline = Instant::now() + time_max;
    let records = place.records.all()?;
    let shown = records.into_iter().filter_map(|record| {
        let has_time = Instant::now() < deadline;
        let found = if has_time { look(place, &record) } else { Found::Unknown("there was no time to look") };
        shown(place, &record, &found)
    });
    Ok(shown.collect())
}

/// Removes what may go; says of each whether it went, and why not.
pub(super) fn prune(place: &Place, force: bool) -> Result<Vec<Pruned>, WorkspaceError> {
    let records = place.records.all()?;
    Ok(records.iter().filter_map(|record| prune_one(place, record, force)).collect())
}

fn prune_one(place: &Place, record: &Record, force: bool) -> Option<Pruned> {
    let Some(_lease) = place.leases.claim_name(&record.name()) else {
        let found = look(place, record);
        let record = shown(place, record, &found)?;
        return Some(Pruned { record, is_removed: false, kept_because: Some("it is in use") });
    };
    let found = look(place, record);
    let mut kept_because = found.obstacle().filter(|why| !force || *why == LOOSE);
    if kept_because.is_none()
        && let Err(error) = remove(place, record, force)
    {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(path = %record.path.display(), error, "a worktree could not be pruned");
        kept_because = Some("it could not be removed; the hive's log says why");
    }
    let record = WorkspaceRecord { is_in_use: false, ..shown(place, record, &found)? };
    Some(Pruned { record, is_removed: kept_because.is_none(), kept_because })
}

/// With force, what cannot be taken off git's list because the repository is gone goes all the same.
fn remove(place: &Place, record: &Record, force: bool) -> Result<(), WorkspaceError> {
    let path = place.records.path_of(&record.name());
    match place.remove(record, &path) {
        Err(_) if force && !is_there(&path) && !is_there(&record.common_dir) => {
            place.records.remove(&record.name())
        }
        other => other,
    }
}

fn look(place: &Place, record: &Record) -> Found {
    let path = place.records.path_of(&record.name());
    if !is_there(&record.common_dir) {
        return Found::Unknown("its repository is gone");
    }
    if !is_there(&path) {
        return Found::Gone;
    }
    let Some(git_dir) = record.repository().git_dir_of(&record.path) else {
        return Found::Unknown("git no longer has it on its list");
    };
    survey(place, record, path, git_dir).unwrap_or_else(|error| {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(path = %record.path.display(), error, "a worktree cannot be looked at");
        Found::Unknown("git cannot look at it; the hive's log says why")
    })
}

fn survey(place: &Place, record: &Record, path: PathBuf, git_dir: PathBuf) -> Result<Found, WorkspaceError> {
    let survey = Survey::of(&path, &git_dir, &record.base, place.spool()?)?;
    let obstacle = if survey.has_loose_commits()? {
        Some(LOOSE)
    } else if !survey.is_clean {
        Some("it has work that is not committed")
    } else if survey.has_submodules()? {
        Some("it has submodules, which are not looked into")
    } else {
        None
    };
    let files_changed = Some(survey.files_changed()?);
    Ok(Found::Held { head: survey.head.clone(), files_changed, is_clean: survey.is_clean, obstacle })
}

impl Found {
    /// Why it stays without force.
    fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::Gone => None,
            Self::Held { obstacle, .. } => *obstacle,
            Self::Unknown(why) => Some(why),
        }
    }
}

fn shown(place: &Place, record: &Record, found: &Found) -> Option<WorkspaceRecord> {
    let task: TaskId = record.task()?;
    let name = record.name();
    let (head, files_changed, is_clean) = match found {
        Found::Gone => (None, None, true),
        Found::Unknown(_) => (None, None, false),
        Found::Held { head, files_changed, is_clean, .. } => (Some(head.clone()), *files_changed, *is_clean),
    };
    Some(WorkspaceRecord {
        task,
        attempt: record.attempt,
        agent: record.agent.clone(),
        path: place.records.path_of(&name).display().to_string(),
        repository: record.repository.display().to_string(),
        branch: record.branch.clone(),
        base: record.base.clone(),
        head,
        files_changed,
        is_clean,
        is_in_use: place.leases.has(&name),
        created_at: Timestamp::from_micros(record.created_at_us),
    })
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
