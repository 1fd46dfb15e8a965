//! Where an attempt works: an empty folder, a folder of the user's, or a git worktree of its own.
//!
//! ```text
//!   <data folder>/workspaces/<task>-<attempt>         a worktree, on the branch hive/<task>-<attempt>
//!                            <task>-<attempt>.json    its record, written before it is made
//!                 scratch/<task>-<attempt>            an empty folder
//! ```
//!
//! All of it blocks: it waits for disks and for git.
//!
//! Invariant: a workspace is held by one attempt at a time, and verified before anything runs in it; what fails, fails
//! closed.
//!
//! Invariant: uncommitted work is deleted only where the user said so: `keep = never`, or a prune with force.
//!
//! Reading order: `worktree`, `repository`, `git`, `turns`; `survey`, `diff`; `removal`, `prune`; `folder`, `spool`;
//! `record`, `leases`, `error`.

mod diff;
mod error;
#[cfg(test)]
mod fixture;
mod folder;
mod git;
mod leases;
mod prune;
mod record;
mod removal;
mod repository;
mod spool;
mod survey;
mod turns;
mod worktree;

use std::path::{Path, PathBuf};

use domain::{Name, Secret, TaskId, Timestamp, Workspace, WorkspaceReport};

use self::folder::{Folder, Scratch};
use self::leases::Leases;
use self::record::Records;
use self::repository::Locks;
use self::worktree::{Wish, Worktree};
use crate::attempt::Assignment;

pub use self::error::WorkspaceError;

/// All workspaces of one hive. Cheap to clone; clones share their leases.
#[derive(Debug, Clone)]
pub struct Workspaces {
    place: Place,
}

/// Where workspaces are, and who holds them.
#[derive(Debug, Clone)]
struct Place {
    workspaces: PathBuf,
    scratch: PathBuf,
    records: Records,
    leases: Leases,
    locks: Locks,
}

/// A workspace that is ready for a process, held until it is settled or dropped. Dropped, a worktree stays as it is, with
/// its record; an empty folder goes.
#[derive(Debug)]
pub struct Prepared {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// No folder of ours: the process has one of its own choice.
    Elsewhere(PathBuf),
    Scratch(Scratch),
    Folder(Folder),
    Worktree(Box<Worktree>),
}

/// A worktree that is there, or that was there and is still on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRecord {
    /// The task that it was made for.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// What people called the agent.
    pub agent: Name,
    /// Where it is.
    pub path: String,
    /// The repository that it belongs to.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The commit that it began from.
    pub base: String,
    /// The commit that it is on; `None` when its folder is gone or cannot be looked at.
    pub head: Option<String>,
    /// How many files differ from the base; `None` like `head`.
    pub files_changed: Option<u64>,
    /// Whether nothing in it is uncommitted; false when nobody can tell.
    pub is_clean: bool,
    /// Whether an attempt works in it now.
    pub is_in_use: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a prune did with a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// As it was before.
    pub record: WorkspaceRecord,
    /// Whether it is gone now.
    pub is_removed: bool,
    /// Why it is still there.
    pub kept_because: Option<&'static str>,
}

impl Workspaces {
    /// The workspaces in a data folder. Call it only while the folder is locked.
    #[must_use]
    pub fn open(data_dir: &Path) -> Self {
        let data_dir = canonical(data_dir.to_path_buf());
        let (workspaces, scratch) = (canonical(data_dir.join("workspaces")), data_dir.join("scratch"));
        let records = Records::new(workspaces.clone());
        let leases = Leases::new(workspaces.clone());
        Self { place: Place { workspaces, scratch, records, leases, locks: Locks::default() } }
    }

    /// Removes scratch folders of an earlier hive. Call it before anything is prepared, and when nothing of that hive runs
    /// any more: it would work in them.
    pub(crate) fn remove_scratch(&self) {
        let scratch = &self.place.scratch;
        if let Err(cause) = removal::remove_tree(scratch) {
            tracing::warn!(path = %scratch.display(), %cause, "old scratch folders cannot be removed");
        }
    }

    /// Claims, makes and verifies the workspace of an attempt. Takes milliseconds, or as long as git takes to check a
    /// large repository out (at most 15 minutes).
    ///
    /// # Errors
    /// [`WorkspaceError::InUse`] when another attempt has it now; the others say what the user has to do. After an error
    /// nothing is held.
    pub fn prepare(&self, assignment: &Assignment) -> Result<Prepared, WorkspaceError> {
        let kind = match &assignment.link.workspace {
            Workspace::None => match assignment.link.cwd.as_deref().map(Path::new) {
                Some(cwd) if cwd.is_absolute() => Kind::Elsewhere(folder::usable(cwd)?),
                _ => Kind::Scratch(Scratch::make(&self.place, &name_of(assignment))?),
            },
            Workspace::Directory { path } => Kind::Folder(Folder::claim(&self.place, path)?),
            Workspace::GitWorktree { repository, base, keep } => {
                let wish = Wish { repository, base: base.as_deref(), keep: *keep };
                Kind::Worktree(Box::new(Worktree::make(&self.place, assignment, wish)?))
            }
        };
        Ok(Prepared { kind })
    }

    /// All worktrees on record, oldest first. Begins no look into one after 20 seconds; those that are left then are listed
    /// as unknown. A look that has begun may take longer: up to a minute for each question to git.
    ///
    /// # Errors
    /// When the folder of the records cannot be read.
    pub fn list(&self) -> Result<Vec<WorkspaceRecord>, WorkspaceError> {
        prune::list(&self.place)
    }

    /// Removes the worktrees that nobody uses: those without uncommitted work; with `force`, also those. Branches with
    /// commits stay.
    ///
    /// # Errors
    /// When the folder of the records cannot be read. What cannot be removed is in the answer.
    pub fn prune(&self, force: bool) -> Result<Vec<Pruned>, WorkspaceError> {
        prune::prune(&self.place, force)
    }
}

impl Prepared {
    /// The folder to work in: absolute, and there.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.kind {
            Kind::Elsewhere(path) => path,
            Kind::Scratch(scratch) => scratch.path(),
            Kind::Folder(folder) => folder.path(),
            Kind::Worktree(worktree) => worktree.path(),
        }
    }

    /// After the last process in it has ended: says what is in it, keeps or removes it, and gives it back. `None` for a
    /// folder that nobody asked for. Values of secrets do not show in the diff.
    #[must_use]
    pub fn settle(self, secrets: &[Secret]) -> Option<WorkspaceReport> {
        match self.kind {
            Kind::Elsewhere(_) | Kind::Scratch(_) => None,
            Kind::Folder(folder) => Some(folder.settle()),
            Kind::Worktree(worktree) => Some(worktree.settle(secrets)),
        }
    }
}

/// The path as git tells it. One that is not there yet will be no link.
fn canonical(path: PathBuf) -> PathBuf {
    std::fs::canonicalize(&path).unwrap_or(path)
}

/// What the workspace of an attempt is called.
fn name_of(assignment: &Assignment) -> String {
    format!("{}-{}", assignment.task, assignment.attempt)
}
