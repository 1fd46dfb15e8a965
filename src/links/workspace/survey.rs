//! Looks at what a worktree holds: commits, edits and new files, counted and shown.
//!
//! Git compares with a copy of the worktree's index in a folder of ours. New files are put into the copy under the name
//! of no object, so that git shows them as new although nothing of them is stored.
//!
//! Invariant: a look changes nothing: neither the index, nor the objects, nor a file.
//!
//! Invariant: no git runs inside a submodule: its settings are the agent's, and could make git run something.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::diff::Diff;
use super::error::WorkspaceError;
use super::git::{Fault, Git};
use super::record::is_there;
use super::spool::Spool;
use crate::output::mask::Mask;

/// New files larger than this, in bytes, are named in a diff and not read.
const NEW_FILE_BYTES_MAX: u64 = 16 << 20;
/// References that stay when a worktree goes, unlike its own (`refs/bisect`, `refs/worktree`, `refs/rewritten`).
const LASTING: [&str; 3] = ["refs/heads", "refs/tags", "refs/remotes"];

/// What a worktree holds.
#[derive(Debug)]
pub(super) struct Survey {
    git: Git,
    path: PathBuf,
    base: String,
    /// The commit that it is on.
    pub(super) head: String,
    /// The branch that it is on; `None` when it is on none.
    pub(super) branch: Option<String>,
    /// Whether everything is committed, except for ignored files.
    pub(super) is_clean: bool,
    /// New files that git is not shown.
    apart: Apart,
    /// Holds the copied index; goes with the survey.
    _spool: Spool,
}

/// New files that git is not shown: repositories in the worktree, and large ones.
#[derive(Debug, Default)]
struct Apart {
    count: u64,
    diff: Diff,
}

/// What `git status` says, as it comes.
struct Status<'a> {
    head: Option<String>,
    branch: Option<String>,
    is_clean: bool,
    apart: Apart,
    path: &'a Path,
    /// A name that fits no object, as long as the repository's names are.
    no_object: String,
    new_files: BufWriter<File>,
}

impl Survey {
    /// Looks at the worktree at `path`, whose git folder is `git_dir`, and which began from the commit `base`.
    pub(super) fn of(path: &Path, git_dir: &Path, base: &str, spool: Spool) -> Result<Self, WorkspaceError> {
        let index = spool.path().join("index");
        copy_index(&git_dir.join("index"), &index).map_err(WorkspaceError::disk("copy", &index))?;
        let git = Git::within(path, git_dir).with_index(&index);
        refresh(&git)?;
        let (status, listed) = look(&git, path, base, &spool)?;
        let words = ["update-index", "-z", "--index-info"];
        if !status.is_clean {
            git.stream(&words, Some(listed), &mut |_| ControlFlow::Continue(()))
                .map_err(WorkspaceError::git("list the new files of the worktree"))?;
        }
        Ok(Self {
            git,
            path: path.to_path_buf(),
            base: base.to_owned(),
            head: status.head.ok_or_else(|| unread("it is on no commit"))?,
            branch: status.branch,
            is_clean: status.is_clean,
            apart: status.apart,
            _spool: spool,
        })
    }

    /// Whether it is on its base with everything as it was.
    pub(super) fn is_as_made(&self) -> bool {
        self.is_clean && self.head == self.base
    }

    /// How many files differ from the base: committed, edited, or new and not ignored.
    pub(super) fn files_changed(&self) -> Result<u64, WorkspaceError> {
        if self.is_as_made() {
            return Ok(0);
        }
        let mut count = self.apart.count;
        let mut names = Records::default();
        let words =
            ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty"];
        let words = [&words[..], &[&self.base, "--"]].concat();
        self.git
            .stream(&words, None, &mut |bytes| {
                names.split(bytes, &mut |_| count += 1);
                ControlFlow::Continue(())
            })
            .map_err(WorkspaceError::git("count the changes of the worktree"))?;
        Ok(count)
    }

    /// The difference from the base, cut to what is kept of one.
    pub(super) fn diff(&self, mask: &Mask) -> Result<String, WorkspaceError> {
        let mut diff = Diff::default();
        let words = [
            "diff",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--no-relative",
            "--unified=3",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "--submodule=short",
            "--ignore-submodules=dirty",
            &self.base,
            "--",
        ];
        self.git
            .stream(&words, None, &mut |bytes| diff.push(bytes))
            .map_err(WorkspaceError::git("read the changes of the worktree"))?;
        Ok(diff.with(&self.apart.diff).finish(mask))
    }

    /// Whether it is on a commit that no branch or tag leads to: such a commit would go with it.
    pub(super) fn has_loose_commits(&self) -> Result<bool, WorkspaceError> {
        if self.branch.is_some() || self.head == self.base {
            return Ok(false);
        }
        let words = ["for-each-ref", "--count=1", "--format=%(refname)", "--contains", &self.head];
        let words = [&words[..], &LASTING].concat();
        self.git
            .ask(&words)
            .map(|found| found.is_empty())
            .map_err(WorkspaceError::git("find the branch of the worktree's commit"))
    }

    /// Whether a submodule is checked out in it: what is in there is not looked at, so it counts as work.
    pub(super) fn has_submodules(&self) -> Result<bool, WorkspaceError> {
        let mut is_found = false;
        let mut entries = Records::default();
        self.git
            .stream(&["ls-files", "--stage", "-z"], None, &mut |bytes| {
                entries.split(bytes, &mut |entry| is_found |= is_checked_out(entry, &self.path));
                if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .map_err(WorkspaceError::git("look for submodules in the worktree"))?;
        Ok(is_found)
    }
}

/// Copies an index with its time: git compares that with the times of files to know which it must read again.
fn copy_index(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::copy(from, to) {
        // Without one, every file counts as new, and none is missed.
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let times = std::fs::FileTimes::new().set_modified(std::fs::metadata(from)?.modified()?);
    File::options().write(true).open(to)?.set_times(times)
}

/// Looks at each file again, also where somebody told git to assume that it is unchanged or absent.
fn refresh(git: &Git) -> Result<(), WorkspaceError> {
    let words = ["-c", "core.sparseCheckout=true", "update-index", "-q", "--really-refresh"];
    match git.ask(&words) {
        // It ends with 1 when a file differs.
        Ok(_) | Err(Fault::Refused { code: Some(1), .. }) => Ok(()),
        Err(fault) => Err(WorkspaceError::git("look at the files of the worktree")(fault)),
    }
}

/// Asks for the status; new files go into a file that the index reads.
fn look<'a>(
    git: &Git,
    path: &'a Path,
    base: &str,
    spool: &Spool,
) -> Result<(Status<'a>, File), WorkspaceError> {
    let list = spool.path().join("new-files");
    let failed = || WorkspaceError::disk("write", &list);
    let mut status = Status {
        head: None,
        branch: None,
        is_clean: true,
        apart: Apart::default(),
        path,
        no_object: "1".repeat(base.len()),
        new_files: BufWriter::new(File::create(&list).map_err(failed())?),
    };
    let mut written = Ok(());
    let mut lines = Records::default();
    let words = [
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=all",
        "--ignore-submodules=dirty",
        "--no-renames",
        "--no-ahead-behind",
    ];
    git.stream(&words, None, &mut |bytes| {
        lines.split(bytes, &mut |line| {
            if written.is_ok() {
                written = status.read(line);
            }
        });
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .map_err(WorkspaceError::git("look at the worktree"))?;
    written.and_then(|()| status.new_files.flush()).map_err(failed())?;
    let listed = File::open(&list).map_err(failed())?;
    Ok((status, listed))
}

impl Status<'_> {
    /// Reads one line of `git status --porcelain=v2`.
    fn read(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(head) = line.strip_prefix(b"# branch.oid ") {
            let is_commit = head.iter().all(u8::is_ascii_hexdigit);
            self.head = is_commit.then(|| String::from_utf8_lossy(head).into_owned());
        } else if let Some(branch) = line.strip_prefix(b"# branch.head ") {
            let is_on_one = branch != b"(detached)";
            self.branch = is_on_one.then(|| String::from_utf8_lossy(branch).into_owned());
        } else if let Some(file) = line.strip_prefix(b"? ") {
            self.is_clean = false;
            self.add_new_file(file)?;
        } else if !line.starts_with(b"# ") {
            self.is_clean = false;
        }
        Ok(())
    }

    fn add_new_file(&mut self, file: &[u8]) -> io::Result<()> {
        if file.ends_with(b"/") {
            self.apart.count += 1; // A repository of its own.
            return Ok(());
        }
        let found = std::fs::symlink_metadata(self.path.join(OsStr::from_bytes(file)));
        if found.is_ok_and(|found| found.is_file() && found.len() > NEW_FILE_BYTES_MAX) {
            self.apart.count += 1;
            self.apart.diff.push_large_file(file);
            return Ok(());
        }
        write!(self.new_files, "100644 {}\t", self.no_object)?;
        self.new_files.write_all(file)?;
        self.new_files.write_all(b"\0")
    }
}

/// Whether an entry of the index is a submodule that is there.
fn is_checked_out(entry: &[u8], root: &Path) -> bool {
    let Some(at) = entry.iter().position(|byte| *byte == b'\t') else { return false };
    let (about, path) = entry.split_at(at);
    let path = path.get(1..).unwrap_or_default();
    about.starts_with(b"160000 ") && is_there(&root.join(OsStr::from_bytes(path)).join(".git"))
}

fn unread(said: &str) -> WorkspaceError {
    WorkspaceError::Git { doing: "look at the worktree", said: said.to_owned() }
}

/// Takes what git prints with `-z` apart. Holds one record at most.
#[derive(Debug, Default)]
struct Records {
    half: Vec<u8>,
}

impl Records {
    fn split(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == 0) {
            match piece.strip_suffix(b"\0") {
                None => self.half.extend_from_slice(piece),
                Some(rest) if self.half.is_empty() => each(rest),
                Some(rest) => {
                    self.half.extend_from_slice(rest);
                    each(&self.half);
                    self.half.clear();
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
