//! A git worktree for one attempt: made, verified, and looked at when the attempt has ended.
//!
//! Invariant: nothing runs in a worktree before git itself said that it is ours, on our branch, at the pinned base.
//!
//! Invariant: what is not committed goes only where the link says so (`keep = never`), and commits that no branch leads
//! to never go with a worktree. What cannot be looked at stays.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use domain::{Keep, Secret, Timestamp, WorkspaceReport};

use super::error::WorkspaceError;
use super::git::{CHECKOUT_TIME_MAX, Git};
use super::leases::Lease;
use super::record::{Record, is_there};
use super::removal::{remove_worktree, tip_of};
use super::repository::Repository;
use super::spool::Spool;
use super::survey::Survey;
use super::{Place, name_of};
use crate::attempt::Assignment;
use crate::output::mask::Mask;

/// A verified worktree, held by one attempt.
#[derive(Debug)]
pub(super) struct Worktree {
    place: Place,
    record: Record,
    path: PathBuf,
    git_dir: PathBuf,
    keep: Keep,
    _lease: Lease,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) repository: &'a str,
    pub(super) base: Option<&'a str>,
    pub(super) keep: Keep,
}

/// What speaks against removing a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Left {
    /// A commit, an edit, a new file.
    pub(super) is_changed: bool,
    /// Its commit would go with it.
    pub(super) has_loose_commits: bool,
    /// Nobody looked into its submodules.
    pub(super) has_submodules: bool,
}

impl Left {
    /// Whether the worktree stays.
    pub(super) fn stays(self, keep: Keep) -> bool {
        match keep {
            Keep::Always => true,
            Keep::Changed => self.is_changed || self.has_loose_commits || self.has_submodules,
            Keep::Never => self.has_loose_commits,
        }
    }
}

impl Worktree {
    /// Makes and verifies it. What was made is taken back when it fails, except for what does not look like ours.
    pub(super) fn make(place: &Place, assignment: &Assignment, wish: Wish) -> Result<Self, WorkspaceError> {
        let name = name_of(assignment);
        let path = place.records.path_of(&name);
        let lease = place.leases.claim_name(&name).ok_or_else(|| WorkspaceError::InUse(path.clone()))?;
        let repository = Repository::open(Path::new(wish.repository))?;
        let record = Record {
            task: assignment.task.to_string(),
            attempt: assignment.attempt,
            agent: assignment.agent_name.clone(),
            path: path.clone(),
            repository: repository.top.clone(),
            common_dir: repository.common_dir.clone(),
            branch: format!("hive/{name}"),
            base: repository.pin(wish.base)?,
            created_at_us: now().as_micros(),
        };
        place.make_folder()?;
        refuse_leftovers(place, &record)?;
        place.records.write(&record)?;
        let made = add(place, &repository, &record)
            .and_then(|git_dir| check_out(&record, &git_dir).map(|()| git_dir))
            .inspect_err(|_| take_back(place, &repository, &record));
        let git_dir = made?;
        verify(&record, &git_dir)?;
        Ok(Self { place: place.clone(), record, path, git_dir, keep: wish.keep, _lease: lease })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at it, then keeps or removes it. What it tells shows no secret.
    pub(super) fn settle(self, secrets: &[Secret]) -> WorkspaceReport {
        let mut report = WorkspaceReport {
            path: self.path.display().to_string(),
            branch: Some(self.record.branch.clone()),
            base: Some(self.record.base.clone()),
            is_kept: true,
            ..WorkspaceReport::default()
        };
        let settled = self.look(&mut report, &Mask::by_lines(secrets)).and_then(|left| {
            if left.stays(self.keep) { Ok(()) } else { self.place.remove(&self.record, &self.path) }
        });
        if let Err(error) = settled {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %self.path.display(), error, "a worktree stays: it could not be settled");
        }
        report.is_kept = is_there(&self.path);
        report
    }

    fn look(&self, report: &mut WorkspaceReport, mask: &Mask) -> Result<Left, WorkspaceError> {
        let survey = Survey::of(&self.path, &self.git_dir, &self.record.base, self.place.spool()?)?;
        report.head = Some(survey.head.clone());
        let files_changed = survey.files_changed()?;
        report.files_changed = Some(files_changed);
        if files_changed > 0 {
            report.diff = Some(survey.diff(mask)?);
        }
        Ok(Left {
            is_changed: !survey.is_as_made() || self.has_moved_branch(&survey)?,
            has_loose_commits: survey.has_loose_commits()?,
            has_submodules: survey.has_submodules()?,
        })
    }

    /// Whether our branch has left the base while the worktree is elsewhere.
    fn has_moved_branch(&self, survey: &Survey) -> Result<bool, WorkspaceError> {
        if survey.branch.as_ref() == Some(&self.record.branch) {
            return Ok(false);
        }
        let git = self.record.repository().git();
        Ok(tip_of(&git, &self.record.branch)?.is_some_and(|tip| tip != self.record.base))
    }
}

/// What only one attempt may ever make must not be there.
fn refuse_leftovers(place: &Place, record: &Record) -> Result<(), WorkspaceError> {
    let exists = |what| Err(WorkspaceError::Exists { what });
    if is_there(&record.path) {
        return exists(record.path.display().to_string());
    }
    if place.records.has(&record.name()) {
        return exists(format!("the record of {}", record.path.display()));
    }
    if tip_of(&record.repository().git(), &record.branch)?.is_some() {
        return exists(format!("the branch {} of {}", record.branch, record.repository.display()));
    }
    Ok(())
}

/// Adds it to the repository without its files, one at a time in each repository; says where git keeps it.
fn add(place: &Place, repository: &Repository, record: &Record) -> Result<PathBuf, WorkspaceError> {
    const DOING: &str = "add the worktree";
    let lock = place.locks.of(repository);
    let _alone = lock.lock();
    let words = ["worktree", "add", "--quiet", "--no-checkout", "--no-track", "-b", &record.branch, "--"];
    let words: Vec<&std::ffi::OsStr> = words.iter().map(std::ffi::OsStr::new).collect();
    let words = [&words[..], &[record.path.as_os_str(), record.base.as_ref()]].concat();
    repository.git().ask(&words).map_err(WorkspaceError::git(DOING))?;
    repository.git_dir_of(&record.path).ok_or_else(|| WorkspaceError::Git {
        doing: DOING,
        said: "nothing, but the worktree is not on its list".to_owned(),
    })
}

/// Fills it with the files of the base, which takes the most time, so many do it at once.
fn check_out(record: &Record, git_dir: &Path) -> Result<(), WorkspaceError> {
    Git::within(&record.path, git_dir)
        .taking_at_most(CHECKOUT_TIME_MAX)
        .ask(&["reset", "--hard", "--quiet", "--no-recurse-submodules", &record.base])
        .map(drop)
        .map_err(WorkspaceError::git("check the worktree out"))
}

/// Asks git the way the agent's git will ask: from the folder alone.
pub(super) fn verify(record: &Record, git_dir: &Path) -> Result<(), WorkspaceError> {
    let words = [
        "rev-parse",
        "--path-format=absolute",
        "--show-toplevel",
        "--git-dir",
        "--git-common-dir",
        "HEAD",
        "--symbolic-full-name",
        "HEAD",
    ];
    let refuse = |found| WorkspaceError::NotVerified { path: record.path.clone(), found };
    let found = Git::at(&record.path).ask(&words).map_err(|fault| {
        let said = WorkspaceError::git("verify the worktree")(fault);
        refuse(said.to_string())
    })?;
    let branch = format!("refs/heads/{}", record.branch);
    let wanted = [
        ("top folder", record.path.display().to_string()),
        ("git folder", git_dir.display().to_string()),
        ("repository", record.common_dir.display().to_string()),
        ("commit", record.base.clone()),
        ("branch", branch),
    ];
    let mut lines = found.lines();
    for (what, wanted) in wanted {
        let is = lines.next().unwrap_or_default();
        if is != wanted {
            return Err(refuse(format!("its {what} is `{is}`, not `{wanted}`")));
        }
    }
    Ok(())
}

/// Takes back what was made of a worktree that failed. What git did not make stays, with the record, for a look.
fn take_back(place: &Place, repository: &Repository, record: &Record) {
    let is_ours = repository.git_dir_of(&record.path).is_some() || !is_there(&record.path);
    if !is_ours {
        return;
    }
    if let Err(error) = place.remove(record, &record.path) {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(path = %record.path.display(), error, "half a worktree stays until it is pruned");
    }
}

impl Place {
    /// Makes the folder of the worktrees, open to nobody else.
    fn make_folder(&self) -> Result<(), WorkspaceError> {
        std::fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.workspaces)
            .map_err(WorkspaceError::disk("create", &self.workspaces))
    }

    /// A folder for one look.
    pub(super) fn spool(&self) -> Result<Spool, WorkspaceError> {
        Spool::make_any(&self.scratch).map_err(WorkspaceError::disk("create a folder in", &self.scratch))
    }

    /// Removes a worktree, then its record.
    pub(super) fn remove(&self, record: &Record, path: &Path) -> Result<(), WorkspaceError> {
        remove_worktree(record, path, &self.locks)?;
        self.records.remove(&record.name())
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "worktree_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "worktree_surroundings_tests.rs"]
mod surroundings_tests;
