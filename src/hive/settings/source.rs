//! Where a setting comes from, and the raw values that each source holds.

use std::fmt;
use std::path::{Path, PathBuf};

/// What the environment variables of settings begin with; two underscores keep `HIVE_TOKEN` and others apart.
pub const ENV_PREFIX: &str = "HIVE__";

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built in, `config/default.toml`.
    Default,
    /// The file that `--config` names.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value before anybody knows what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A whole number.
    Whole(i64),
    /// Text of a file or a flag.
    Text(String),
    /// Text of an environment variable, where a number has no other form.
    EnvText(String),
    /// Something that no setting is: a list, a date and so on.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Text(text) | Self::EnvText(text) => write!(f, "{text:?}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// One value of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key, like `server.bind`.
    pub key: String,
    /// As it was written.
    pub raw: Raw,
    /// Where.
    pub source: Source,
}

/// What is wrong with one value or one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was set.
    pub source: Source,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

/// The entries of a TOML text.
///
/// # Errors
/// The place where it is not TOML, as one [`Problem`].
pub fn from_toml(text: &str, source: &Source) -> Result<Vec<Entry>, Problem> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| Problem {
        source: source.clone(),
        message: format!("is not TOML: {}", error.to_string().trim_end()),
    })?;
    let mut entries = Vec::new();
    flatten("", &table, source, &mut entries);
    Ok(entries)
}

/// The entries of a settings file.
///
/// # Errors
/// One [`Problem`] when it cannot be read or is not TOML.
pub fn from_file(path: &Path) -> Result<Vec<Entry>, Problem> {
    let source = Source::File(path.to_path_buf());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem { source: source.clone(), message: format!("cannot be read: {error}") })?;
    from_toml(&text, &source)
}

/// The entries among environment variables; others than `HIVE__…` are not ours.
pub fn from_env(vars: impl Iterator<Item = (String, String)>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = vars
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase().replace("__", ".");
            Some(Entry { key, raw: Raw::EnvText(value), source: Source::Env(name) })
        })
        .collect();
    // the system gives them in any order; problems should not change places from run to run
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    entries
}

fn flatten(prefix: &str, table: &toml::Table, source: &Source, into: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let raw = match value {
            toml::Value::Table(inner) => {
                flatten(&key, inner, source, into);
                continue;
            }
            toml::Value::Integer(number) => Raw::Whole(*number),
            toml::Value::String(text) => Raw::Text(text.clone()),
            toml::Value::Float(_) => Raw::Other("a number with a fraction"),
            toml::Value::Boolean(_) => Raw::Other("true or false"),
            toml::Value::Datetime(_) => Raw::Other("a date"),
            toml::Value::Array(_) => Raw::Other("a list"),
        };
        into.push(Entry { key, raw, source: source.clone() });
    }
}
