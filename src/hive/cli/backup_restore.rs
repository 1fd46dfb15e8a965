//! `hive backup restore`: makes a backup the database of a data folder.

use std::path::PathBuf;

use clap::Args;

use super::GlobalFlags;
use super::backup::{FolderFlags, show};
use super::screen::Screen;
use super::words::now;
use crate::backup::restore::restore;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::BACKUP_RESTORE)]
pub struct BackupRestore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Move the database that is there aside; it is kept
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    folder: FolderFlags,
}

impl BackupRestore {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let restored = restore(&self.file, &self.folder.folder(common)?, self.force, now())?;
        let shown = |path: &PathBuf| serde_json::Value::from(path.to_string_lossy().into_owned());
        let mut added = vec![("path", shown(&self.file)), ("data_dir", shown(&restored.folder))];
        added.extend(restored.set_aside.as_ref().map(|aside| ("set_aside", shown(aside))));
        show(common, &restored.sealed, &added)?;
        Screen::of_process(common.json).note("restored; `hive serve` starts from it");
        Ok(Exit::Fine)
    }
}
