//! A bench for tests: a real repository, a data folder beside it, and attempts that want workspaces of them.
//!
//! Paths have spaces and letters that are no ASCII in every test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use domain::{AgentId, Keep, ProcessLink, TaskId, Workspace};
use tempfile::TempDir;

use super::{Prepared, WorkspaceError, Workspaces};
use crate::attempt::{Assignment, OutputLimits};

pub(super) struct Bench {
    pub(super) root: TempDir,
    /// A repository with one commit on `main`: `read me`, `src/ä.txt`, and `.gitignore`, which ignores `*.log`.
    pub(super) repository: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) workspaces: Workspaces,
}

impl Bench {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let top = std::fs::canonicalize(root.path()).unwrap();
        let (repository, data_dir) = (top.join("my répo"), top.join("hive dätä"));
        std::fs::create_dir(&data_dir).unwrap();
        make_repository(&repository);
        write(&repository.join("read me"), "one\ntwo\nthree\n");
        write(&repository.join("src/ä.txt"), "umlaut\n");
        write(&repository.join(".gitignore"), "*.log\n");
        commit_all(&repository, "begin");
        let workspaces = Workspaces::open(&data_dir);
        Self { root, repository, data_dir, workspaces }
    }

    /// A worktree of the repository from its HEAD.
    pub(super) fn wish(&self, keep: Keep) -> Workspace {
        self.wish_from(&self.repository, None, keep)
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbor")]
    pub(super) fn wish_from(&self, repository: &Path, base: Option<&str>, keep: Keep) -> Workspace {
        let repository = repository.to_str().unwrap().to_owned();
        Workspace::GitWorktree { repository, base: base.map(str::to_owned), keep }
    }

    pub(super) fn prepare(&self, task: i64, keep: Keep) -> Prepared {
        self.workspaces.prepare(&assignment(task, self.wish(keep))).unwrap()
    }

    pub(super) fn refusal(&self, wish: Workspace) -> WorkspaceError {
        self.workspaces.prepare(&assignment(77, wish)).unwrap_err()
    }

    /// The branches that hives made.
    pub(super) fn branches(&self) -> Vec<String> {
        let names = git(&self.repository, &["for-each-ref", "--format=%(refname:short)", "refs/heads/hive"]);
        names.lines().map(str::to_owned).collect()
    }

    /// How many worktrees git knows of, beside the repository's own.
    pub(super) fn worktrees(&self) -> usize {
        git(&self.repository, &["worktree", "list"]).lines().count() - 1
    }

    pub(super) fn head(&self) -> String {
        git(&self.repository, &["rev-parse", "HEAD"])
    }

    /// The files below the folder of worktrees, and of scratch folders.
    pub(super) fn left(&self) -> Vec<String> {
        let names = ["workspaces", "scratch"].map(|folder| std::fs::read_dir(self.data_dir.join(folder)));
        let entries = names.into_iter().flatten().flatten();
        let mut left: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        left
    }
}

pub(super) fn assignment(task: i64, workspace: Workspace) -> Assignment {
    let link = ProcessLink { command: vec!["true".to_owned()], workspace, ..ProcessLink::default() };
    Assignment {
        task: TaskId::from_raw(task),
        attempt: 1,
        agent: AgentId::from_raw(1),
        agent_name: "coder".parse().unwrap(),
        link,
        title: "a title".to_owned(),
        input: Some(Arc::from("{}")),
        timeout_ms: None,
        limits: OutputLimits { output_bytes_max: 1 << 20, result_bytes_max: 1 << 16 },
    }
}

pub(super) fn make_repository(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    git(path, &["config", "user.name", "Somebody"]);
    git(path, &["config", "user.email", "somebody@localhost"]);
}

pub(super) fn commit_all(path: &Path, message: &str) -> String {
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "--message", message]);
    git(path, &["rev-parse", "HEAD"])
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A program that leaves a mark when it runs, and passes its input on. Says where it is and where the mark will be.
pub(super) fn tripwire(folder: &Path) -> (String, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let (program, mark) = (folder.join("tripwire"), folder.join("tripped"));
    write(&program, format!("#!/bin/sh\ntouch '{}'\ncat\n", mark.display()));
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    (format!("'{}'", program.display()), mark)
}

/// The user's or the agent's own git.
pub(super) fn git(place: &Path, words: &[&str]) -> String {
    let output = command(place).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {words:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(super) fn command(place: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs([
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("HOME", "/nonexistent"),
    ]);
    command.args(["-c", "protocol.file.allow=always"]).current_dir(place);
    command
}
