//! `hive migrate …`: the schema of the database, without serving from it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use store::{OpenError, Place};

use super::GlobalFlags;
use super::config::load;
use super::migrate_run::MigrateRun;
use super::migrate_status::MigrateStatus;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::serve::store_opening::{explained, place};
use crate::settings::Flags;

/// The commands about the schema.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Show every migration of the schema, and which of them the database has
    Status(MigrateStatus),
    /// Bring the schema of the database up to date, or show what that would do
    Run(MigrateRun),
}

/// Which database, for commands that need no hive.
#[derive(Debug, Clone, Args)]
pub struct DatabaseFlags {
    /// Read settings from this TOML file
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// A PostgreSQL database in place of the file in the data folder; with a password, better in HIVE__DATABASE__URL
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Migrate {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        // as for what a start makes: the database is nobody else's business
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
        match self {
            Self::Status(command) => command.run(common),
            Self::Run(command) => command.run(common),
        }
    }
}

/// The database that `hive serve` would use, and its data folder.
pub(super) struct Found {
    folder: PathBuf,
    pub(super) place: Place,
}

impl DatabaseFlags {
    /// What the settings say, of this file if one is named.
    pub(super) const fn of_settings(config: Option<PathBuf>) -> Self {
        Self { config, database_url: None }
    }

    pub(super) fn find(self, common: &GlobalFlags) -> Result<Found, Failure> {
        let flags = Flags {
            config: self.config,
            data_dir: common.data_dir.clone(),
            database_url: self.database_url,
            bind: None,
        };
        let settings = load(&flags)?;
        let folder =
            std::path::absolute(&settings.store.data_dir).map_err(|error| Failure::surroundings(&error))?;
        let place = place(&folder, &settings);
        Ok(Found { folder, place })
    }
}

impl Found {
    /// What stands in the way, with what to do about it.
    pub(super) fn explain(&self, error: &OpenError) -> Failure {
        explained(error, &self.folder, &self.place)
    }
}
