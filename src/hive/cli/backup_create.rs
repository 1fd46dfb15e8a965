//! `hive backup create`: copies the database into a file.

use std::path::PathBuf;

use clap::Args;

use super::GlobalFlags;
use super::backup::{FolderFlags, show};
use super::words::now;
use crate::backup::create::create;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::BACKUP_CREATE)]
pub struct BackupCreate {
    /// Where it goes; a new name with the time, in backups/ of the data folder, when left out
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderFlags,
}

impl BackupCreate {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let created = create(&self.folder.folder(common)?, self.file.as_deref(), now())?;
        let took_ms = u64::try_from(created.took.as_millis()).unwrap_or(u64::MAX);
        let path = created.path.to_string_lossy().into_owned();
        show(common, &created.sealed, &[("path", path.into()), ("took_ms", took_ms.into())])?;
        Ok(Exit::Fine)
    }
}
