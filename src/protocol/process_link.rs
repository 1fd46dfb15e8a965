//! How an agent is reached, as it is asked for and as it is shown.
//!
//! Invariant: values of an environment are in requests only; answers have their names.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Keep, Link, Name, ProcessLimits, ProcessLink, ProcessLinkEdit, PromptVia, ResultFormat, Review, Workspace,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret_text::SecretText;
use crate::{object, whole};

/// A request about a process: fields of its own, then those that every one of them has.
macro_rules! process_request {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
            /// The program and its arguments, at most 128 words of at most 16 KiB. Excludes `preset`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(max_items = 128)]
            pub command: Option<Vec<String>>,
            /// Further arguments, behind those of the command or the preset, at most 128.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(max_items = 128)]
            pub args: Option<Vec<String>>,
            /// The folder it starts in: absolute on the hive's machine, or below its workspace.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cwd: Option<String>,
            /// Its environment, all of it, at most 128 values of at most 32 KiB. Write-only: no answer has the values.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
            pub env: Option<BTreeMap<String, SecretText>>,
            /// Names whose values it takes from the environment of the hive, at most 128.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<Vec<String>>, max_items = 128)]
            pub inherit_env: Option<BTreeSet<String>>,
            /// How it is told what to do: `stdin` (usual), `argument` or `file`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>, pattern = "^(stdin|argument|file)$")]
            pub prompt: Option<PromptVia>,
            /// How its result is read from its standard output: `text` (usual), `json-last`, `claude-stream-json` or
            /// `codex-json`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>, pattern = "^(text|json-last|claude-stream-json|codex-json)$")]
            pub result: Option<ResultFormat>,
            /// Where it works; in an empty folder of its own when missing.
            #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
            pub workspace: Option<LinkWorkspace>,
            /// How long one attempt may take, in milliseconds, 1 to 30 days.
            #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
            #[schema(minimum = 1, maximum = 2592000000_u64)]
            pub timeout_ms: Option<u64>,
            /// What one attempt may use, all of it; what is missing in it has no limit.
            #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
            pub limits: Option<LinkLimits>,
        }

        impl $name {
            /// What it wants, in the domain's words.
            fn into_edit(self, review: &mut Review) -> ProcessLinkEdit {
                ProcessLinkEdit {
                    command: self.command,
                    args: self.args,
                    cwd: self.cwd,
                    env: self.env.map(|env| {
                        env.into_iter().map(|(name, value)| (name, value.into_secret())).collect()
                    }),
                    inherit_env: self.inherit_env,
                    prompt: self.prompt,
                    result: self.result,
                    workspace: self.workspace.and_then(|workspace| workspace.check(review)),
                    timeout_ms: self.timeout_ms,
                    limits: self.limits.map(Into::into),
                }
            }
        }
    };
}

process_request! {
    /// The link of a new agent. With the kind `process` exactly one of `command` and `preset` must be there; the other
    /// fields take the place of the preset's.
    RegisterLink {
        /// `worker`: it asks for assignments over HTTP. `process`: the hive starts a command for each assignment.
        #[schema(required = true, pattern = "^(worker|process)$")]
        kind: String,
        /// The name of a built-in preset, like `claude-code`. Excludes `command`.
        #[serde(skip_serializing_if = "Option::is_none")]
        preset: Option<String>,
    }
}

process_request! {
    /// What changes of a process agent's link; what is missing stays as it is. The kind never changes, and a `command`
    /// ends the tie to a preset.
    PatchLink {}
}

/// Where a process works.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkWorkspace {
    /// `none`: an empty folder that goes with the attempt. `directory`: a folder, one attempt at a time.
    /// `git_worktree`: a worktree of its own on a branch of its own.
    #[schema(required = true, pattern = "^(none|directory|git_worktree)$")]
    pub kind: String,
    /// Of `directory`: the folder's absolute path on the hive's machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of `git_worktree`: the repository's absolute path on the hive's machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Of `git_worktree`: the branch, tag or commit that it begins from; `HEAD` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Of `git_worktree`, what becomes of it: `always` stays, `changed` (usual) stays when something changed, `never`
    /// goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(always|changed|never)$")]
    pub keep: Option<Keep>,
}

impl LinkWorkspace {
    /// The domain's form; notes a kind that is none, what is missing and what belongs to another kind.
    fn check(self, review: &mut Review) -> Option<Workspace> {
        let is_directory = self.kind == "directory";
        let is_worktree = self.kind == "git_worktree";
        let mut belongs = |field: &str, is_named: bool, belongs: bool, to: &str| {
            let message = format!("only stands with kind {to}");
            review.require(!is_named || belongs, &format!("link.workspace.{field}"), &message);
        };
        belongs("path", self.path.is_some(), is_directory, "directory");
        belongs("repository", self.repository.is_some(), is_worktree, "git_worktree");
        belongs("base", self.base.is_some(), is_worktree, "git_worktree");
        belongs("keep", self.keep.is_some(), is_worktree, "git_worktree");
        match self.kind.as_str() {
            "none" => Some(Workspace::None),
            // What is missing is empty, which the rules of the domain refuse by its field.
            "directory" => Some(Workspace::Directory { path: self.path.unwrap_or_default() }),
            "git_worktree" => Some(Workspace::GitWorktree {
                repository: self.repository.unwrap_or_default(),
                base: self.base,
                keep: self.keep.unwrap_or_default(),
            }),
            _ => {
                review.note("link.workspace.kind", "must be none, directory or git_worktree");
                None
            }
        }
    }
}

impl From<Workspace> for LinkWorkspace {
    fn from(workspace: Workspace) -> Self {
        match workspace {
            Workspace::None => Self { kind: "none".to_owned(), ..Self::default() },
            Workspace::Directory { path } => {
                Self { kind: "directory".to_owned(), path: Some(path), ..Self::default() }
            }
            Workspace::GitWorktree { repository, base, keep } => Self {
                kind: "git_worktree".to_owned(),
                path: None,
                repository: Some(repository),
                base,
                keep: Some(keep),
            },
        }
    }
}

/// What one attempt may use; what is missing has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkLimits {
    /// Processor time of all its processes together, in milliseconds, at least 1.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub cpu_ms: Option<u64>,
    /// Resident memory of all its processes together, in bytes, at least 1 MiB.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1048576)]
    pub memory_bytes: Option<u64>,
    /// Largest file that it may write, in bytes, at least 1.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub file_bytes: Option<u64>,
    /// Files that each of its processes may have open, at least 16.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 16)]
    pub open_files: Option<u64>,
}

impl From<LinkLimits> for ProcessLimits {
    fn from(view: LinkLimits) -> Self {
        let LinkLimits { cpu_ms, memory_bytes, file_bytes, open_files } = view;
        Self { cpu_ms, memory_bytes, file_bytes, open_files }
    }
}

impl From<ProcessLimits> for LinkLimits {
    fn from(limits: ProcessLimits) -> Self {
        let ProcessLimits { cpu_ms, memory_bytes, file_bytes, open_files } = limits;
        Self { cpu_ms, memory_bytes, file_bytes, open_files }
    }
}

/// The link that a [`RegisterLink`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkAsked {
    /// A worker.
    Worker,
    /// A process.
    Process {
        /// The preset that it begins from; `None` where it has a command of its own.
        preset: Option<Name>,
        /// What it wants beside the preset.
        edit: Box<ProcessLinkEdit>,
    },
}

impl RegisterLink {
    /// What it asks for; notes every rule that can be checked before the preset is known.
    pub(crate) fn check(mut self, review: &mut Review) -> LinkAsked {
        if self.kind == Link::PROCESS {
            let is_one = self.preset.is_none() || self.command.is_none();
            review.require(is_one, "link.preset", "cannot stand beside command: name one of them");
            let preset = self.preset.take();
            let edit = self.into_edit(review);
            review_edit(review, &edit, preset.is_some());
            let preset = preset.and_then(|text| review.take("link.preset", text.parse::<Name>()));
            return LinkAsked::Process { preset, edit: Box::new(edit) };
        }
        review.require(self.kind == Link::WORKER, "link.kind", "must be worker or process");
        if self.kind == Link::WORKER {
            let preset = self.preset.as_ref().map(|_| "link.preset");
            for field in preset.into_iter().chain(self.named()) {
                review.note(field, "only stands with kind process");
            }
        }
        LinkAsked::Worker
    }

    /// The fields of a process that it names.
    fn named(&self) -> Vec<&'static str> {
        let named = [
            ("link.command", self.command.is_some()),
            ("link.args", self.args.is_some()),
            ("link.cwd", self.cwd.is_some()),
            ("link.env", self.env.is_some()),
            ("link.inherit_env", self.inherit_env.is_some()),
            ("link.prompt", self.prompt.is_some()),
            ("link.result", self.result.is_some()),
            ("link.workspace", self.workspace.is_some()),
            ("link.timeout_ms", self.timeout_ms.is_some()),
            ("link.limits", self.limits.is_some()),
        ];
        named.into_iter().filter_map(|(field, is_named)| is_named.then_some(field)).collect()
    }
}

impl PatchLink {
    /// What it asks for; notes every rule that can be checked before the present link is known.
    pub(crate) fn check(self, review: &mut Review) -> ProcessLinkEdit {
        let edit = self.into_edit(review);
        review_edit(review, &edit, true);
        edit
    }
}

/// Checks what an edit names. Where it edits a link that is not known here, a stand-in keeps every rule that the edit
/// does not touch: what depends on the real one is checked when that is found.
fn review_edit(review: &mut Review, edit: &ProcessLinkEdit, is_of_another: bool) {
    let base = if is_of_another {
        let workspace = Workspace::Directory { path: "/".to_owned() };
        ProcessLink { command: vec!["stand-in".to_owned()], workspace, ..ProcessLink::default() }
    } else {
        ProcessLink::default()
    };
    base.edited(edit.clone()).review(review);
}

/// How an agent is reached, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LinkView {
    /// It asks for assignments over HTTP.
    Worker,
    /// The hive starts a command for each assignment.
    Process(Box<ProcessLinkView>),
}

impl LinkView {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Worker => Link::WORKER,
            Self::Process(_) => Link::PROCESS,
        }
    }
}

/// A process link without the values of its environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessLinkView {
    /// The preset that it was made from.
    pub preset: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Further arguments, behind those of the command.
    pub args: Vec<String>,
    /// The folder it starts in.
    pub cwd: Option<String>,
    /// The names of its environment; the values are shown to nobody.
    pub env_names: Vec<String>,
    /// Names whose values it takes from the environment of the hive.
    pub inherit_env: Vec<String>,
    /// How it is told what to do.
    #[schema(value_type = String, pattern = "^(stdin|argument|file)$")]
    pub prompt: PromptVia,
    /// How its result is read.
    #[schema(value_type = String, pattern = "^(text|json-last|claude-stream-json|codex-json)$")]
    pub result: ResultFormat,
    /// Where it works.
    pub workspace: LinkWorkspace,
    /// How long one attempt may take, in milliseconds.
    #[serde(deserialize_with = "whole::option")]
    pub timeout_ms: Option<u64>,
    /// What one attempt may use.
    pub limits: LinkLimits,
}

impl From<Link> for LinkView {
    fn from(link: Link) -> Self {
        match link {
            Link::Worker => Self::Worker,
            Link::Process(link) => Self::Process(Box::new((*link).into())),
        }
    }
}

impl From<ProcessLink> for ProcessLinkView {
    fn from(link: ProcessLink) -> Self {
        Self {
            preset: link.preset.map(|name| name.to_string()),
            command: link.command,
            args: link.args,
            cwd: link.cwd,
            env_names: link.env.into_keys().collect(),
            inherit_env: link.inherit_env.into_iter().collect(),
            prompt: link.prompt,
            result: link.result,
            workspace: link.workspace.into(),
            timeout_ms: link.timeout_ms,
            limits: link.limits.into(),
        }
    }
}

#[cfg(test)]
#[path = "process_link_tests.rs"]
mod tests;
