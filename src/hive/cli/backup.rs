//! `hive backup …`: works on the data folder, not through the server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::GlobalFlags;
use super::backup_create::BackupCreate;
use super::backup_restore::BackupRestore;
use super::backup_verify::BackupVerify;
use super::config::load;
use super::screen::Screen;
use super::table::{Facts, number, text};
use super::words::count;
use crate::backup::seal::Sealed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::{Flags, StoreSettings};

/// The commands about backups.
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Copy the database into a file, also while the hive serves
    Create(BackupCreate),
    /// Check that a backup is whole and can be restored
    Verify(BackupVerify),
    /// Make a backup the database of a data folder that no hive serves from
    Restore(BackupRestore),
}

/// Where the data folder is named, for commands that work on it.
#[derive(Debug, Clone, Args)]
pub struct FolderFlags {
    /// Read the data folder's place from this TOML file
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

impl Backup {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        // a backup holds what the database holds, and is nobody else's business either
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
        match self {
            Self::Create(command) => command.run(common),
            Self::Verify(command) => command.run(common),
            Self::Restore(command) => command.run(common),
        }
    }
}

impl FolderFlags {
    /// The data folder that `hive serve` would use.
    pub(super) fn folder(&self, common: &GlobalFlags) -> Result<PathBuf, Failure> {
        let flags =
            Flags { config: self.config.clone(), data_dir: common.data_dir.clone(), ..Flags::default() };
        let StoreSettings { data_dir: named, database_url, .. } = load(&flags)?.store;
        if database_url.is_some() {
            return Err(Failure::usage(
                "this hive's database is a PostgreSQL server, of which `hive backup` knows nothing",
            )
            .hint(
                "`pg_dump --format=custom URL` copies it while the hive serves, `pg_restore` brings it back",
            ));
        }
        std::path::absolute(&named).map_err(|error| Failure::surroundings(&error))
    }
}

/// What a backup says about itself, with what the command adds, for people or as JSON.
pub(super) fn show(
    common: &GlobalFlags,
    sealed: &Sealed,
    added: &[(&'static str, serde_json::Value)],
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(common.json);
    if screen.is_json() {
        let mut object =
            serde_json::to_value(&sealed.manifest).map_err(|error| Failure::surroundings(&error))?;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("bytes".into(), sealed.bytes.into());
            fields.insert("sha256".into(), sealed.sha256.clone().into());
            fields.extend(added.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        screen.line(&object.to_string())?;
    } else {
        let manifest = &sealed.manifest;
        let mut facts = Facts::default();
        for (name, value) in added {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            facts.add(name, text(shown));
        }
        facts.add("bytes", number(sealed.bytes));
        facts.add("sha256", text(&sealed.sha256));
        facts.add("created_at", screen.moment(manifest.created_at));
        facts.add("hive", text(format!("{}, schema {}", manifest.hive_version, manifest.schema)));
        facts.add("last event", text(count(u64::try_from(manifest.last_seq).unwrap_or_default())));
        facts.add("tasks", number(manifest.task_count));
        facts.add("agents", number(manifest.agent_count));
        screen.facts(&facts)?;
    }
    screen.finish()?;
    Ok(())
}
