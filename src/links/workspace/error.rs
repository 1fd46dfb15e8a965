//! What goes wrong with workspaces, each as a sentence that says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::git::Fault;

/// Why there is no workspace, or no word about one. Nothing runs in a workspace that failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Another attempt holds it, or a folder around or inside it. It gets free by itself: try again later.
    #[error("{} is in use by another attempt", .0.display())]
    InUse(PathBuf),
    /// What only one attempt may ever make is there already.
    #[error(
        "{what} exists already, and no two attempts share one; `hive workspace prune` removes what is done"
    )]
    Exists {
        /// The folder, record or branch.
        what: String,
    },
    /// The folder is missing, is none, or cannot be entered.
    #[error("{} is not a folder that the hive can use: create it, or name another", .path.display())]
    NotAFolder {
        /// Which folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The folder cannot be written.
    #[error("{} cannot be written: change its permissions, or name another folder", .path.display())]
    NotWritable {
        /// Which folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// There is no git on this machine.
    #[error("git was not found: install it on the machine of the hive, or put it on the hive's PATH")]
    GitMissing,
    /// The folder belongs to no repository.
    #[error("{} is not a git repository: name the top folder of one, or run `git init` there and commit", .0.display())]
    NotARepository(PathBuf),
    /// The folder lies inside a repository.
    #[error("{} lies inside a git repository: name its top folder{}", .path.display(), hint(.top.as_deref()))]
    NotTheTop {
        /// What was named.
        path: PathBuf,
        /// What should be named, where git tells.
        top: Option<PathBuf>,
    },
    /// Git does not trust the owner of the repository.
    #[error(
        "git does not trust {}, which another user owns: run the hive as that user, or run `git config --global \
         --add safe.directory {}` as the user of the hive", .0.display(), .0.display()
    )]
    DubiousOwner(PathBuf),
    /// The repository is empty.
    #[error("{} has no commit yet: commit something there first", .0.display())]
    NoCommit(PathBuf),
    /// What the work should begin from does not exist.
    #[error("`{base}` is no branch, tag or commit of {}: git says: {said}", .repository.display())]
    NoBase {
        /// What was named.
        base: String,
        /// Of which repository.
        repository: PathBuf,
        /// The last lines of git.
        said: String,
    },
    /// Git refused.
    #[error("cannot {doing}: git says: {said}")]
    Git {
        /// What was tried.
        doing: &'static str,
        /// The last lines of git.
        said: String,
    },
    /// Git took too long and was ended.
    #[error("cannot {doing}: git took longer than {limit_s} s, and was ended")]
    GitTimedOut {
        /// What was tried.
        doing: &'static str,
        /// How long it may take, in seconds.
        limit_s: u64,
    },
    /// Git could not be started, or not be read.
    #[error("cannot {doing}: git could not be run")]
    GitNotRun {
        /// What was tried.
        doing: &'static str,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The worktree is not what was asked for; it stays for a look.
    #[error("{} is not the worktree that was made: {found}; nothing was started in it", .path.display())]
    NotVerified {
        /// Which folder.
        path: PathBuf,
        /// What is different.
        found: String,
    },
    /// The disk, or its permissions.
    #[error("cannot {doing} {}", .path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

impl WorkspaceError {
    pub(super) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self::Disk { doing, path, cause }
    }

    pub(super) fn git(doing: &'static str) -> impl FnOnce(Fault) -> Self {
        move |fault| match fault {
            Fault::Missing => Self::GitMissing,
            Fault::TimedOut { limit_s } => Self::GitTimedOut { doing, limit_s },
            Fault::Refused { said, .. } => Self::Git { doing, said },
            Fault::System(cause) => Self::GitNotRun { doing, cause },
        }
    }
}

fn hint(top: Option<&Path>) -> String {
    top.map_or_else(String::new, |top| format!(", {}", top.display()))
}
