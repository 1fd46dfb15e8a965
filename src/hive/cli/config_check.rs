//! `hive config check`: tells everything that is wrong with the settings.

use clap::Args;

use super::config::load;
use super::screen::Screen;
use super::{GlobalFlags, ServeFlags};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct ConfigCheck {
    #[command(flatten)]
    serve: ServeFlags,
}

impl ConfigCheck {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        load(&self.serve.with_folder(common))?;
        Screen::of_process(false).note("the settings are fine");
        Ok(Exit::Fine)
    }
}
