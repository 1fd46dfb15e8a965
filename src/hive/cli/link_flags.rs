//! The flags that say how an agent's process is started, for a new agent and for a change of one.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use domain::{Keep, PromptVia, ResultFormat};
use protocol::{LinkLimits, LinkWorkspace, PatchLink};
use serde::de::DeserializeOwned;

use super::env_file;
use super::size::Size;
use crate::failure::Failure;
use crate::span::Span;

/// What they stand under in the help.
pub const HEADING: &str = "An agent that the hive starts";

/// The flags.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = HEADING)]
pub struct LinkFlags {
    /// Further argument, behind those of the preset or the command; may be repeated
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// Environment of its own: a file of NAME=VALUE lines, or - for stdin. The values are never shown again
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<String>,
    /// Hand on this variable of the hive's own environment
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub inherit_env: Vec<String>,
    /// How it gets its task: on stdin, as the last argument (a task may begin with `-`: let `--` stand before it), or
    /// in a file whose path is the last argument
    #[arg(long, value_name = "HOW", value_parser = words::<PromptVia>(&["stdin", "argument", "file"]))]
    pub prompt: Option<PromptVia>,
    /// How its result is read from its stdout
    #[arg(long, value_name = "FORMAT", value_parser = words::<ResultFormat>(&["text", "json-last", "claude-stream-json", "codex-json"]))]
    pub result: Option<ResultFormat>,
    /// Work in a git worktree of its own of this repository, on a branch of its own
    #[arg(long, value_name = "PATH", conflicts_with = "directory")]
    pub repository: Option<PathBuf>,
    /// Begin the branch here [default: HEAD]
    #[arg(long, value_name = "REF", requires = "repository")]
    pub base: Option<String>,
    /// When the worktree stays afterwards [default: changed]
    #[arg(long, value_name = "WHEN", value_parser = words::<Keep>(&["always", "changed", "never"]), requires = "repository")]
    pub keep: Option<Keep>,
    /// Work in this folder, one task at a time [default: an empty folder for each task]
    #[arg(long, value_name = "PATH")]
    pub directory: Option<PathBuf>,
    /// Start in this folder; a relative one lies below the worktree or the directory
    #[arg(long, value_name = "PATH")]
    pub cwd: Option<PathBuf>,
    /// Longest time of one attempt
    #[arg(long, value_name = "SPAN")]
    pub timeout: Option<Span>,
    /// Most processor time of one attempt
    #[arg(long, value_name = "SPAN")]
    pub cpu: Option<Span>,
    /// Most memory of one attempt, like 2G
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Largest file that it may write, like 100M
    #[arg(long, value_name = "SIZE")]
    pub file_size: Option<Size>,
    /// Most open files of each of its processes
    #[arg(long, value_name = "N")]
    pub open_files: Option<u64>,
    /// The command that does a task, after --
    #[arg(last = true, value_name = "COMMAND", help_heading = "Arguments")]
    pub command: Vec<String>,
}

/// Reads one of these words; they are those of the contract.
fn words<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    known: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    let read = |word: String| serde_json::from_value::<T>(serde_json::Value::String(word));
    PossibleValuesParser::new(known).try_map(read)
}

impl LinkFlags {
    /// Whether a path among them may lie below the workspace.
    pub fn has_path(&self) -> bool {
        self.cwd.is_some() || !self.command.is_empty()
    }

    /// What they say. Paths that are relative to this folder become absolute, unless a workspace is named here or
    /// `is_in_workspace` already: then they may lie below it.
    ///
    /// # Errors
    /// A [`Failure`] when a file cannot be read or a path is no text.
    pub fn change(self, is_in_workspace: bool) -> Result<PatchLink, Failure> {
        let workspace = workspace(self.repository, self.directory, self.base, self.keep)?;
        let has_workspace = is_in_workspace || workspace.is_some();
        let limits = LinkLimits {
            cpu_ms: self.cpu.map(|span| span.ms),
            memory_bytes: self.memory.map(|size| size.bytes),
            file_bytes: self.file_size.map(|size| size.bytes),
            open_files: self.open_files,
        };
        Ok(PatchLink {
            command: command(self.command, has_workspace)?,
            args: (!self.args.is_empty()).then_some(self.args),
            cwd: self.cwd.map(|cwd| below(&cwd, has_workspace)).transpose()?,
            env: self.env_file.as_deref().map(env_file::read).transpose()?,
            inherit_env: (!self.inherit_env.is_empty()).then(|| self.inherit_env.into_iter().collect()),
            prompt: self.prompt,
            result: self.result,
            workspace,
            timeout_ms: self.timeout.map(|span| span.ms),
            limits: (limits != LinkLimits::default()).then_some(limits),
        })
    }
}

fn workspace(
    repository: Option<PathBuf>,
    directory: Option<PathBuf>,
    base: Option<String>,
    keep: Option<Keep>,
) -> Result<Option<LinkWorkspace>, Failure> {
    match (repository, directory) {
        (Some(repository), _) => Ok(Some(LinkWorkspace {
            kind: "git_worktree".to_owned(),
            path: None,
            repository: Some(absolute(&repository)?),
            base,
            keep,
        })),
        (None, Some(directory)) => Ok(Some(LinkWorkspace {
            kind: "directory".to_owned(),
            path: Some(absolute(&directory)?),
            ..LinkWorkspace::default()
        })),
        (None, None) => Ok(None),
    }
}

/// The command, its program made absolute where it is a path: `./agent.sh` means the one that lies here.
fn command(mut words: Vec<String>, has_workspace: bool) -> Result<Option<Vec<String>>, Failure> {
    let Some(program) = words.first_mut() else { return Ok(None) };
    if program.contains('/') {
        *program = below(Path::new(program.as_str()), has_workspace)?;
    }
    Ok(Some(words))
}

/// A path as it is, where it may lie below a workspace; otherwise from this folder on.
fn below(path: &Path, has_workspace: bool) -> Result<String, Failure> {
    if has_workspace { as_text(path) } else { absolute(path) }
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("cannot use the path {}: {error}", path.display())))?;
    as_text(&path)
}

fn as_text(path: &Path) -> Result<String, Failure> {
    let refused = || Failure::usage(format!("the path {} is not UTF-8", path.display()));
    path.to_str().map(str::to_owned).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> LinkFlags {
        LinkFlags { command: vec!["./run.sh".into(), "./x".into()], ..LinkFlags::default() }
    }

    #[test]
    fn without_any_flag_nothing_is_said() {
        assert_eq!(LinkFlags::default().change(false).unwrap(), PatchLink::default());
    }

    #[test]
    fn relative_paths_become_absolute_unless_they_may_lie_below_a_workspace() {
        let here = std::env::current_dir().unwrap();
        let at = |path: &str| here.join(path).display().to_string();
        let link = LinkFlags { cwd: Some("src".into()), ..flags() }.change(false).unwrap();
        assert_eq!(link.command, Some(vec![at("run.sh"), "./x".to_owned()]), "arguments are left alone");
        assert_eq!(link.cwd, Some(at("src")));
        let inside = LinkFlags { cwd: Some("src".into()), repository: Some(".".into()), ..flags() };
        let link = inside.change(false).unwrap();
        assert_eq!((link.cwd.as_deref(), link.command.unwrap()[0].as_str()), (Some("src"), "./run.sh"));
        assert_eq!(link.workspace.unwrap().repository, Some(here.display().to_string()));
        let already = LinkFlags { cwd: Some("src".into()), ..flags() }.change(true).unwrap();
        assert_eq!((already.cwd.as_deref(), already.command.unwrap()[0].as_str()), (Some("src"), "./run.sh"));
        let found = LinkFlags { command: vec!["cat".into()], ..LinkFlags::default() };
        assert_eq!(found.change(false).unwrap().command, Some(vec!["cat".into()]), "found by PATH");
    }
}
