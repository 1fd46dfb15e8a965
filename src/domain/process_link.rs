//! How an agent runs as a process: one command for each assignment, with its workspace and its limits.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::secret::Secret;
use crate::violation::Review;

/// Most words of a command, and most further arguments.
pub const WORDS_MAX: usize = 128;
/// Longest word of a command, path or reference, in bytes.
pub const WORD_BYTES_MAX: usize = 16 * 1024;
/// Most environment values, and most inherited names.
pub const ENV_MAX: usize = 128;
/// Longest name in an environment, in characters.
pub const ENV_NAME_CHARS_MAX: usize = 128;
/// Longest value in an environment, in bytes.
pub const ENV_VALUE_BYTES_MAX: usize = 32 * 1024;
/// Longest time that a process may be given, in milliseconds (30 days).
pub const TIMEOUT_MS_MAX: u64 = 30 * 24 * 3_600 * 1_000;
/// Least memory that a limit may allow, in bytes.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// Fewest open files that a limit may allow.
pub const OPEN_FILES_MIN: u64 = 16;

/// How the process is told what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptVia {
    /// On its standard input, which then ends.
    #[default]
    Stdin,
    /// As the last argument, or in place of the word `{prompt}`.
    Argument,
    /// In a file, whose path is the last argument or stands in place of the word `{prompt_file}`.
    File,
}

/// How the result is read from what the process prints on its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultFormat {
    /// All of it is the result.
    #[default]
    Text,
    /// The last line that is JSON, or all of it where that is JSON.
    JsonLast,
    /// The stream of `claude -p --output-format stream-json`.
    ClaudeStreamJson,
    /// The stream of `codex exec --json`.
    CodexJson,
}

/// What happens to a worktree when its attempt has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// It stays.
    Always,
    /// It stays when something in it changed: a commit, an edit, a new file.
    #[default]
    Changed,
    /// It goes, with what is not committed. Commits stay on its branch.
    Never,
}

/// Where the process works.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Workspace {
    /// In an empty folder that goes with the attempt.
    #[default]
    None,
    /// In this folder, one attempt at a time.
    Directory {
        /// Its absolute path.
        path: String,
    },
    /// In a git worktree of its own, on a branch of its own.
    GitWorktree {
        /// Absolute path of the repository.
        repository: String,
        /// What it begins from: a branch, tag or commit; `HEAD` when missing. Pinned to a commit at the start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// What happens to it afterwards.
        #[serde(default)]
        keep: Keep,
    },
}

/// What one attempt may use at most; `None` sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessLimits {
    /// Processor time of all its processes, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Resident memory of all its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Largest file that it may write, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Files that each of its processes may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
}

/// An agent that is a command. Serialized without the values of its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessLink {
    /// The preset that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Name>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Further arguments, behind those of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The folder it starts in: absolute, or below its workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Its environment: write-only values.
    #[serde(skip)]
    pub env: BTreeMap<String, Secret>,
    /// Names whose values it takes from the environment of the hive.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub inherit_env: BTreeSet<String>,
    /// How it is told what to do.
    #[serde(default)]
    pub prompt: PromptVia,
    /// How its result is read.
    #[serde(default)]
    pub result: ResultFormat,
    /// Where it works.
    #[serde(default)]
    pub workspace: Workspace,
    /// How long one attempt may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What one attempt may use.
    #[serde(default)]
    pub limits: ProcessLimits,
}

/// What somebody wants of a process link; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessLinkEdit {
    /// See [`ProcessLink::command`]. A command of one's own ends the tie to a preset.
    pub command: Option<Vec<String>>,
    /// See [`ProcessLink::args`].
    pub args: Option<Vec<String>>,
    /// See [`ProcessLink::cwd`].
    pub cwd: Option<String>,
    /// See [`ProcessLink::env`]: all of it.
    pub env: Option<BTreeMap<String, Secret>>,
    /// See [`ProcessLink::inherit_env`]: all of it.
    pub inherit_env: Option<BTreeSet<String>>,
    /// See [`ProcessLink::prompt`].
    pub prompt: Option<PromptVia>,
    /// See [`ProcessLink::result`].
    pub result: Option<ResultFormat>,
    /// See [`ProcessLink::workspace`].
    pub workspace: Option<Workspace>,
    /// See [`ProcessLink::timeout_ms`].
    pub timeout_ms: Option<u64>,
    /// See [`ProcessLink::limits`]: all of them.
    pub limits: Option<ProcessLimits>,
}

impl ProcessLink {
    /// This link with what somebody wants of it.
    #[must_use]
    pub fn edited(self, edit: ProcessLinkEdit) -> Self {
        Self {
            preset: if edit.command.is_some() { None } else { self.preset },
            command: edit.command.unwrap_or(self.command),
            args: edit.args.unwrap_or(self.args),
            cwd: edit.cwd.or(self.cwd),
            env: edit.env.unwrap_or(self.env),
            inherit_env: edit.inherit_env.unwrap_or(self.inherit_env),
            prompt: edit.prompt.unwrap_or(self.prompt),
            result: edit.result.unwrap_or(self.result),
            workspace: edit.workspace.unwrap_or(self.workspace),
            timeout_ms: edit.timeout_ms.or(self.timeout_ms),
            limits: edit.limits.unwrap_or(self.limits),
        }
    }

    /// Notes every rule that it breaks, each under a field that begins with `link.`.
    pub fn review(&self, review: &mut Review) {
        let has_program = self.command.first().is_some_and(|program| !program.is_empty());
        review.require(has_program, "link.command", "must begin with a program; or name a preset");
        review_words(review, "link.command", &self.command);
        review_words(review, "link.args", &self.args);
        if let Some(cwd) = &self.cwd {
            review_path(review, "link.cwd", cwd);
            let is_inside = !matches!(self.workspace, Workspace::None) && !climbs(cwd);
            review.require(
                cwd.starts_with('/') || is_inside,
                "link.cwd",
                "must be absolute, or lie below the workspace",
            );
        }
        review_env(review, &self.env, &self.inherit_env);
        self.review_workspace(review);
        let has_time = self.timeout_ms.is_none_or(|timeout| (1..=TIMEOUT_MS_MAX).contains(&timeout));
        review.require(has_time, "link.timeout_ms", "must be from 1 to 2592000000 (30 days)");
        review_limits(review, self.limits);
    }

    fn review_workspace(&self, review: &mut Review) {
        match &self.workspace {
            Workspace::None => {}
            Workspace::Directory { path } => {
                review_path(review, "link.workspace.path", path);
                review.require(path.starts_with('/'), "link.workspace.path", "must be absolute");
            }
            Workspace::GitWorktree { repository, base, keep: _ } => {
                review_path(review, "link.workspace.repository", repository);
                review.require(
                    repository.starts_with('/'),
                    "link.workspace.repository",
                    "must be an absolute path on the machine of the hive",
                );
                if let Some(base) = base {
                    let is_plain = !base.is_empty() && !base.starts_with('-') && !base.contains("..");
                    review.require(is_plain, "link.workspace.base", "must name a branch, a tag or a commit");
                    review_path(review, "link.workspace.base", base);
                }
            }
        }
    }
}

fn review_words(review: &mut Review, field: &str, words: &[String]) {
    review.require(words.len() <= WORDS_MAX, field, "may have at most 128 words");
    let fits = words.iter().all(|word| word.len() <= WORD_BYTES_MAX && !word.contains('\0'));
    review.require(fits, field, "may have words of at most 16384 bytes, without U+0000");
}

fn review_path(review: &mut Review, field: &str, path: &str) {
    let fits = (1..=WORD_BYTES_MAX).contains(&path.len()) && !path.contains('\0');
    review.require(fits, field, "must be 1 to 16384 bytes, without U+0000");
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

fn review_env(review: &mut Review, env: &BTreeMap<String, Secret>, inherited: &BTreeSet<String>) {
    review.require(env.len() <= ENV_MAX, "link.env", "may have at most 128 values");
    review.require(inherited.len() <= ENV_MAX, "link.inherit_env", "may have at most 128 names");
    for (name, value) in env {
        if let Some(broken) = broken_name(name) {
            review.note(format!("link.env.{name}"), broken);
        }
        let fits = value.reveal().len() <= ENV_VALUE_BYTES_MAX && !value.reveal().contains('\0');
        review.require(fits, &format!("link.env.{name}"), "must be at most 32768 bytes, without U+0000");
    }
    for name in inherited {
        if let Some(broken) = broken_name(name) {
            review.note("link.inherit_env", format!("`{name}`: a name {broken}"));
        }
    }
}

/// Names that begin with `HIVE_` are the hive's own: its token and settings must not reach a process.
fn broken_name(name: &str) -> Option<&'static str> {
    let is_plain = (1..=ENV_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    match (is_plain, name.starts_with("HIVE_")) {
        (false, _) => Some("must be 1 to 128 characters of A-Z, a-z, 0-9 and '_', no digit first"),
        (true, true) => Some("must not begin with HIVE_, which the hive sets itself"),
        (true, false) => None,
    }
}

fn review_limits(review: &mut Review, limits: ProcessLimits) {
    let at_least = |value: Option<u64>, least| value.is_none_or(|value| value >= least);
    review.require(at_least(limits.cpu_ms, 1), "link.limits.cpu_ms", "must be at least 1");
    let has_memory = at_least(limits.memory_bytes, MEMORY_BYTES_MIN);
    review.require(has_memory, "link.limits.memory_bytes", "must be at least 1048576 (1 MiB)");
    review.require(at_least(limits.file_bytes, 1), "link.limits.file_bytes", "must be at least 1");
    let has_files = at_least(limits.open_files, OPEN_FILES_MIN);
    review.require(has_files, "link.limits.open_files", "must be at least 16");
}

#[cfg(test)]
#[path = "process_link_tests.rs"]
mod tests;
