//! Looks at everything that a hive needs and says what is missing and what to do about it. It changes nothing.
//!
//! Invariant: a finding is a problem only when something does not work, or is about to stop; what is merely worth knowing
//! is a note.
//!
//! Reading order: [`Finding`], [`examine`]; [`folder`], [`database`], [`machine`], [`server`], [`agents`].

pub mod agents;
pub mod database;
pub mod folder;
pub mod machine;
pub mod server;

use std::path::Path;

use client::Client;
use serde::Serialize;

use crate::connection::{Connection, Wishes};
use crate::exit::Exit;
use crate::settings::Settings;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something does not work.
    Problem,
}

/// What was seen of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What was seen.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// How the command ends when this is its first problem.
    #[serde(skip)]
    pub exit: Exit,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), advice: None, exit: Exit::Fine }
    }

    /// Worth knowing.
    #[must_use]
    pub fn note(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::ok(check, found) }
    }

    /// Broken surroundings.
    #[must_use]
    pub fn problem(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Problem, exit: Exit::Environment, ..Self::ok(check, found) }
    }

    /// With what to do about it.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// With another exit code.
    #[must_use]
    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }
}

/// Looks at everything, for a hive with these settings.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let folder = &settings.store.data_dir;
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
    let is_served = store::backup::is_held(&folder).unwrap_or(false);
    let mut found = vec![Finding::ok(
        "settings",
        format!("{} keys, all valid; `hive config show` lists them", settings.shown.len()),
    )];
    found.extend(folder::examine(&folder));
    match &settings.store.database_url {
        Some(url) => found.extend(database::examine_server(url.reveal())),
        None => found.extend(database::examine(&folder)),
    }
    found.extend(machine::examine());
    let client = is_served.then(|| client_of(&folder)).flatten();
    let server = server::examine(&folder, settings.server.bind, is_served, client.as_ref()).await;
    // a hive that does not say how it is will not list its agents either
    let answers = server.iter().any(|finding| finding.check == "version");
    found.extend(server);
    found.extend(agents::examine(client.as_ref().filter(|_| answers)).await);
    found
}

/// Speaks to the hive of this very folder, whatever the environment names.
fn client_of(folder: &Path) -> Option<Client> {
    let wishes = Wishes { data_dir: Some(folder.to_owned()), ..Wishes::default() };
    Connection::find(wishes).ok()?.client().ok()
}
