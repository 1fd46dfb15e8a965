//! The agents that the hive knows by name: how to start each, what it needs, how it says that it is signed out.
//!
//! Invariant: what ships is read once at the start, strictly, and by the rules for links that people hand in.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Name, ProcessLimits, ProcessLink, PromptVia, ResultFormat, Review, Violations};
use serde::Deserialize;

/// The presets of config/agents, as (name, TOML).
const FILES: [(&str, &str); 6] = [
    ("aider", include_str!("../../config/agents/aider.toml")),
    ("claude-code", include_str!("../../config/agents/claude-code.toml")),
    ("codex", include_str!("../../config/agents/codex.toml")),
    ("gemini", include_str!("../../config/agents/gemini.toml")),
    ("opencode", include_str!("../../config/agents/opencode.toml")),
    ("shell", include_str!("../../config/agents/shell.toml")),
];

/// Why the presets cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// The name of a preset is no name.
    #[error("the preset {file} has no valid name")]
    Name {
        /// Which one.
        file: String,
        /// What names are.
        #[source]
        source: domain::name::NotAName,
    },
    /// A preset is no TOML, or says something that presets do not have.
    #[error("the preset {file} cannot be read")]
    Toml {
        /// Which one.
        file: String,
        /// Where, and what is wrong.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A preset breaks the rules for links.
    #[error("the preset {file} is no valid link")]
    Link {
        /// Which one.
        file: String,
        /// Which rules.
        #[source]
        source: Violations,
    },
}

/// An agent that the hive knows by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// What people call it, and what a link made from it says as its preset.
    pub name: Name,
    /// What it is, in a sentence.
    pub about: String,
    /// How it is started; without a workspace.
    pub link: ProcessLink,
    /// The command that installs it, for whoever lacks it.
    pub install: Option<String>,
    /// How to sign it in, as an end of a sentence.
    pub sign_in: Option<String>,
    /// What it prints when it is not signed in; any of these.
    pub signed_out: Vec<String>,
}

/// All presets.
#[derive(Debug, Clone)]
pub struct Presets(BTreeMap<Name, Preset>);

impl Presets {
    /// The presets that ship with the hive.
    ///
    /// # Errors
    /// [`PresetError`] when a file of config/agents is broken; a test keeps that from shipping.
    pub fn embedded() -> Result<Self, PresetError> {
        let mut presets = BTreeMap::new();
        for (file, toml) in FILES {
            let preset = read(file, toml)?;
            presets.insert(preset.name.clone(), preset);
        }
        Ok(Self(presets))
    }

    /// The preset of that name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Preset> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Preset> {
        self.0.values()
    }
}

/// What a file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetFile {
    about: String,
    command: Vec<String>,
    prompt: PromptVia,
    result: ResultFormat,
    #[serde(default)]
    inherit_env: BTreeSet<String>,
    install: Option<String>,
    sign_in: Option<String>,
    #[serde(default)]
    signed_out: Vec<String>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    limits: ProcessLimits,
}

fn read(file: &str, toml: &str) -> Result<Preset, PresetError> {
    let name: Name = file.parse().map_err(|source| PresetError::Name { file: file.to_owned(), source })?;
    let found: PresetFile = toml::from_str(toml)
        .map_err(|source| PresetError::Toml { file: file.to_owned(), source: Box::new(source) })?;
    let link = ProcessLink {
        preset: Some(name.clone()),
        command: found.command,
        inherit_env: found.inherit_env,
        prompt: found.prompt,
        result: found.result,
        timeout_ms: found.timeout_ms,
        limits: found.limits,
        ..ProcessLink::default()
    };
    let mut review = Review::new();
    link.review(&mut review);
    review.finish().map_err(|source| PresetError::Link { file: file.to_owned(), source })?;
    Ok(Preset {
        name,
        about: found.about,
        link,
        install: found.install,
        sign_in: found.sign_in,
        signed_out: found.signed_out,
    })
}

#[cfg(test)]
mod tests;
