//! The repository that worktrees are made of: found, checked, and its base pinned to a commit.
//!
//! Invariant: a repository is named by the top folder of its work tree, or by its own folder when it is bare. A folder
//! somewhere inside one is refused: what an agent gets must not depend on what lies around a path.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::error::WorkspaceError;
use super::folder::usable;
use super::git::{Fault, Git};

/// A repository that can be used.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    /// Its canonical path.
    pub(super) top: PathBuf,
    /// The folder with its objects and branches.
    pub(super) common_dir: PathBuf,
}

impl Repository {
    /// Finds and checks it.
    pub(super) fn open(path: &Path) -> Result<Self, WorkspaceError> {
        let top = usable(path)?;
        let asked = [
            "rev-parse",
            "--path-format=absolute",
            "--is-bare-repository",
            "--is-inside-work-tree",
            "--git-dir",
            "--git-common-dir",
            "--show-prefix",
        ];
        let answer = Git::at(&top).ask(&asked).map_err(|fault| refused(&top, fault))?;
        let mut lines = answer.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let (is_bare, is_in_work_tree) = (line() == "true", line() == "true");
        let (git_dir, common_dir, way_down) = (line(), line(), line());
        let is_top = if is_bare { Path::new(git_dir) == top } else { is_in_work_tree && way_down.is_empty() };
        if !is_top {
            return Err(not_the_top(top));
        }
        Ok(Self { top, common_dir: PathBuf::from(common_dir) })
    }

    /// Git in this repository.
    pub(super) fn git(&self) -> Git {
        Git::at(&self.top)
    }

    /// The commit that a base names now.
    pub(super) fn pin(&self, base: Option<&str>) -> Result<String, WorkspaceError> {
        let base = base.unwrap_or("HEAD");
        let commit = format!("{base}^{{commit}}");
        match self.git().ask(&["rev-parse", "--verify", "--end-of-options", &commit]) {
            Ok(commit) => Ok(commit),
            Err(Fault::Refused { .. }) if base == "HEAD" => Err(WorkspaceError::NoCommit(self.top.clone())),
            Err(Fault::Refused { said, .. }) => {
                Err(WorkspaceError::NoBase { base: base.to_owned(), repository: self.top.clone(), said })
            }
            Err(fault) => Err(WorkspaceError::git("pin the base of the worktree")(fault)),
        }
    }

    /// The folder that git keeps for the worktree at `path`; `None` when git knows of none.
    pub(super) fn git_dir_of(&self, path: &Path) -> Option<PathBuf> {
        let link = path.join(".git");
        let is_its = |folder: &Path| {
            std::fs::read(folder.join("gitdir"))
                .is_ok_and(|content| Path::new(OsStr::from_bytes(content.trim_ascii_end())) == link)
        };
        let worktrees = self.common_dir.join("worktrees");
        // Git names the folder after the worktree, unless that name was taken.
        let likely = worktrees.join(path.file_name()?);
        if is_its(&likely) {
            return Some(likely);
        }
        let folders = std::fs::read_dir(worktrees).ok()?;
        folders.flatten().map(|entry| entry.path()).find(|folder| is_its(folder))
    }
}

fn not_the_top(path: PathBuf) -> WorkspaceError {
    // In a folder of git's own there is no top to name.
    let top = Git::at(&path).ask(&["rev-parse", "--show-toplevel"]).ok().map(PathBuf::from);
    WorkspaceError::NotTheTop { path, top }
}

fn refused(path: &Path, fault: Fault) -> WorkspaceError {
    match fault {
        Fault::Refused { said, .. } if said.contains("dubious ownership") => {
            WorkspaceError::DubiousOwner(path.to_path_buf())
        }
        Fault::Refused { said, .. } if said.contains("not a git repository") => {
            WorkspaceError::NotARepository(path.to_path_buf())
        }
        fault => WorkspaceError::git("use the repository")(fault),
    }
}

/// One lock for each repository: git's commands that make and remove worktrees stumble over each other's halves.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks(Arc<Mutex<HashMap<PathBuf, Weak<Mutex<()>>>>>);

impl Locks {
    /// The lock of that repository. Those that nobody holds are forgotten.
    pub(super) fn of(&self, repository: &Repository) -> Arc<Mutex<()>> {
        let mut locks = self.0.lock();
        if let Some(lock) = locks.get(&repository.common_dir).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Mutex::new(()));
        locks.insert(repository.common_dir.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Bench, command};
    use super::*;

    #[test]
    fn a_repository_of_another_user_is_refused_with_the_command_that_trusts_it() {
        let bench = Bench::new();
        let asked = command(&bench.repository)
            .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
            .args(["rev-parse", "--git-dir"])
            .output()
            .unwrap();
        let said = String::from_utf8(asked.stderr).unwrap();
        let error = refused(&bench.repository, Fault::Refused { code: asked.status.code(), said });
        let advice =
            format!("git config --global --add safe.directory {}` as the user", bench.repository.display());
        assert!(error.to_string().contains(&advice), "{error:?}");
    }

    #[test]
    fn a_repository_has_one_lock_as_long_as_somebody_has_it() {
        let repository = |name: &str| Repository { top: PathBuf::from("/"), common_dir: PathBuf::from(name) };
        let locks = Locks::default();
        let one = locks.of(&repository("one"));
        assert!(Arc::ptr_eq(&one, &locks.clone().of(&repository("one"))));
        assert!(!Arc::ptr_eq(&one, &locks.of(&repository("two"))));
        drop(locks.of(&repository("three")));
        assert_eq!(locks.0.lock().len(), 2, "those that nobody has are forgotten");
    }
}
