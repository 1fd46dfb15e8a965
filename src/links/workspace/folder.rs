//! Workspaces that are plain folders: one that the user named, or an empty one that goes with the attempt.

use std::path::{Path, PathBuf};

use domain::WorkspaceReport;

use super::Place;
use super::error::WorkspaceError;
use super::git::Git;
use super::leases::Lease;
use super::spool::Spool;

/// A folder of the user's, held by one attempt. Nothing in it is ever deleted.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The commit that it was on, where it lies in a repository.
    base: Option<String>,
    _lease: Lease,
}

impl Folder {
    /// Leases it, if it can be worked in.
    pub(super) fn claim(place: &Place, path: &str) -> Result<Self, WorkspaceError> {
        let path = usable(Path::new(path))?;
        let lease = place.leases.claim_folder(&path).ok_or_else(|| WorkspaceError::InUse(path.clone()))?;
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(&path, access)
            .map_err(|cause| WorkspaceError::NotWritable { path: path.clone(), cause: cause.into() })?;
        let base = commit_of(&path);
        Ok(Self { path, base, _lease: lease })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn settle(self) -> WorkspaceReport {
        WorkspaceReport {
            path: self.path.display().to_string(),
            head: commit_of(&self.path),
            base: self.base,
            is_kept: self.path.exists(),
            ..WorkspaceReport::default()
        }
    }
}

/// The canonical path of a folder that exists.
pub(super) fn usable(path: &Path) -> Result<PathBuf, WorkspaceError> {
    let refuse = |cause| WorkspaceError::NotAFolder { path: path.to_path_buf(), cause };
    let canonical = std::fs::canonicalize(path).map_err(refuse)?;
    if canonical.is_dir() { Ok(canonical) } else { Err(refuse(std::io::ErrorKind::NotADirectory.into())) }
}

/// The commit that is checked out there. A folder outside any repository, or without git, has none, which is fine.
fn commit_of(path: &Path) -> Option<String> {
    Git::at(path).ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).ok()
}

/// An empty folder for one attempt; goes with it.
#[derive(Debug)]
pub(super) struct Scratch {
    // Before the lease, so that the folder is gone when the name is free.
    spool: Spool,
    _lease: Lease,
}

impl Scratch {
    pub(super) fn make(place: &Place, name: &str) -> Result<Self, WorkspaceError> {
        let path = place.scratch.join(name);
        let lease = place.leases.claim_name(name).ok_or_else(|| WorkspaceError::InUse(path.clone()))?;
        let spool = Spool::make(&place.scratch, name).map_err(WorkspaceError::disk("create", &path))?;
        Ok(Self { spool, _lease: lease })
    }

    pub(super) fn path(&self) -> &Path {
        self.spool.path()
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
