//! Takes worktrees away: the folder, what git keeps of it, and its branch where nothing was committed.
//!
//! Invariant: a branch with commits beyond its base is never deleted.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::WorkspaceError;
use super::git::Git;
use super::record::Record;
use super::repository::{Locks, Repository};

/// Removes the worktree at `path` with all that is in it. Parts that are gone already are fine.
pub(super) fn remove_worktree(record: &Record, path: &Path, locks: &Locks) -> Result<(), WorkspaceError> {
    remove_tree(path).map_err(WorkspaceError::disk("remove", path))?;
    let repository = record.repository();
    let lock = locks.of(&repository);
    let _alone = lock.lock();
    if repository.git_dir_of(&record.path).is_some() {
        // Twice: also when somebody locked it. The folder is gone, so nothing but git's own notes of it goes here, and
        // unlike `git worktree prune` it leaves those of other worktrees alone.
        let words = ["worktree".as_ref(), "remove".as_ref(), "--force".as_ref(), "--force".as_ref()];
        let words = [&words[..], &[record.path.as_os_str()]].concat();
        repository.git().ask(&words).map_err(WorkspaceError::git("take the worktree off git's list"))?;
    }
    remove_branch_without_commits(&repository, record)
}

/// Deletes the branch if it has no commit beyond the base, and no other worktree uses it.
fn remove_branch_without_commits(repository: &Repository, record: &Record) -> Result<(), WorkspaceError> {
    let git = repository.git();
    let answer = about_branch(&git, &record.branch, "%(objectname) %(worktreepath)")?;
    let Some((tip, used_by)) = answer.split_once(' ') else { return Ok(()) };
    let is_moved = tip != record.base && has_commits_beyond(&git, &record.base, tip)?;
    if is_moved || !used_by.is_empty() {
        return Ok(());
    }
    // Git deletes it only while it is still at that commit.
    git.ask(&["update-ref", "-d", &full_name(&record.branch), tip])
        .map(drop)
        .map_err(WorkspaceError::git("delete the branch of the worktree"))
}

/// The commit that a branch is at; `None` when there is no such branch.
pub(super) fn tip_of(git: &Git, branch: &str) -> Result<Option<String>, WorkspaceError> {
    about_branch(git, branch, "%(objectname)").map(|tip| Some(tip).filter(|tip| !tip.is_empty()))
}

fn about_branch(git: &Git, branch: &str, format: &str) -> Result<String, WorkspaceError> {
    git.ask(&["for-each-ref", &format!("--format={format}"), &full_name(branch)])
        .map_err(WorkspaceError::git("read the branch of the worktree"))
}

fn has_commits_beyond(git: &Git, base: &str, tip: &str) -> Result<bool, WorkspaceError> {
    let range = format!("{base}..{tip}");
    git.ask(&["rev-list", "--max-count=1", &range])
        .map(|answer| !answer.is_empty())
        .map_err(WorkspaceError::git("count the commits of the worktree"))
}

fn full_name(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// Removes a folder, a link or nothing. Links are not followed; folders that are closed to their owner are opened first.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match remove(path) {
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => {
            open_folders(path)?;
            remove(path)
        }
        other => other,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(cause) => Err(cause),
    };
    match removed {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Gives the owner all rights on each folder below: module caches, for one, are left read-only.
fn open_folders(path: &Path) -> io::Result<()> {
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mode = std::fs::symlink_metadata(&folder)?.permissions().mode();
        if mode & 0o700 != 0o700 {
            std::fs::set_permissions(&folder, Permissions::from_mode(mode | 0o700))?;
        }
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_were_left_read_only_are_opened_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (closed, outside) = (root.path().join("tree/closed"), root.path().join("outside"));
        std::fs::create_dir_all(closed.join("deep")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("file"), "kept").unwrap();
        std::os::unix::fs::symlink(&outside, closed.join("link")).unwrap();
        for folder in [&closed.join("deep"), &closed, &outside] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o500)).unwrap();
        }
        open_folders(&root.path().join("tree")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&closed), mode(&closed.join("deep")), mode(&outside)), (0o700, 0o700, 0o500));
        remove_tree(&root.path().join("tree")).unwrap();
        assert!(!closed.exists());
        assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "kept");
        remove_tree(&root.path().join("tree")).unwrap();
    }
}
