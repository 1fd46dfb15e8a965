//! `hive backup verify`: says whether a backup is whole.

use std::path::PathBuf;

use clap::Args;

use super::GlobalFlags;
use super::backup::show;
use super::screen::Screen;
use crate::backup::verify::verify;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct BackupVerify {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl BackupVerify {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let sealed = verify(&self.file)?;
        show(common, &sealed, &[("path", self.file.to_string_lossy().into_owned().into())])?;
        Screen::of_process(common.json).note("the backup is whole");
        Ok(Exit::Fine)
    }
}
