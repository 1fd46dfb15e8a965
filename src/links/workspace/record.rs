//! What is written down about a worktree, beside its folder: so that it is found whatever ends the hive.
//!
//! Invariant: the record is there before the worktree is made, and goes after the worktree is gone.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use domain::{Name, TaskId};
use serde::{Deserialize, Serialize};

use super::error::WorkspaceError;
use super::repository::Repository;

const SUFFIX: &str = ".json";

/// What a worktree is and whose it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The task's id.
    pub(super) task: String,
    pub(super) attempt: u32,
    /// What people call the agent.
    pub(super) agent: Name,
    /// Where it was made, which is how git knows it; a data folder that was moved has it elsewhere.
    pub(super) path: PathBuf,
    pub(super) repository: PathBuf,
    pub(super) common_dir: PathBuf,
    pub(super) branch: String,
    /// The commit that it began from.
    pub(super) base: String,
    /// In microseconds since the Unix epoch.
    pub(super) created_at_us: i64,
}

impl Record {
    /// What the worktree is called.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.task, self.attempt)
    }

    pub(super) fn repository(&self) -> Repository {
        Repository { top: self.repository.clone(), common_dir: self.common_dir.clone() }
    }

    pub(super) fn task(&self) -> Option<TaskId> {
        self.task.parse().ok()
    }
}

/// The folder of worktrees and their records.
#[derive(Debug, Clone)]
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where the worktree of that name is.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        is_there(&self.file_of(name))
    }

    /// Writes it whole, down to the disk. The caller holds the name's lease and saw that there is none.
    pub(super) fn write(&self, record: &Record) -> Result<(), WorkspaceError> {
        let file = self.file_of(&record.name());
        let half = self.folder.join(format!(".{}.half", record.name()));
        let write = || -> io::Result<()> {
            let text = serde_json::to_vec_pretty(record)?;
            let mut half_file = File::create(&half)?;
            half_file.write_all(&text)?;
            half_file.sync_all()?;
            std::fs::rename(&half, &file)?;
            // the name is on the disk only with its folder
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(WorkspaceError::disk("write", &file))
    }

    /// Removes it; that there is none is fine.
    pub(super) fn remove(&self, name: &str) -> Result<(), WorkspaceError> {
        let file = self.file_of(name);
        match std::fs::remove_file(&file) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(WorkspaceError::disk("remove", &file)(cause))
            }
            _ => Ok(()),
        }
    }

    /// All of them, oldest first. One that cannot be read is left alone and told to the log.
    pub(super) fn all(&self) -> Result<Vec<Record>, WorkspaceError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(WorkspaceError::disk("read", &self.folder)(cause)),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(WorkspaceError::disk("read", &self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(name) = name.strip_suffix(SUFFIX).filter(|name| !name.starts_with('.')) {
                match read(&path, name) {
                    Ok(record) => records.push(record),
                    // One that was removed in this moment is no trouble.
                    Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                    Err(cause) => {
                        tracing::warn!(path = %path.display(), %cause, "the record of a worktree cannot be read");
                    }
                }
            }
        }
        records.sort_by(|one, other| {
            (one.created_at_us, &one.task, one.attempt).cmp(&(
                other.created_at_us,
                &other.task,
                other.attempt,
            ))
        });
        Ok(records)
    }
}

/// Reads one. It must be about the name that it bears: what is removed is found by that name.
fn read(path: &Path, name: &str) -> io::Result<Record> {
    let record: Record = serde_json::from_slice(&std::fs::read(path)?)?;
    if record.name() == name && record.task().is_some() {
        Ok(record)
    } else {
        Err(io::Error::new(ErrorKind::InvalidData, "it is about another worktree"))
    }
}

/// Whether anything is at that path: also a link to nowhere.
pub(super) fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
