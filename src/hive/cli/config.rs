//! `hive config …`: looks at the settings without starting anything.

use clap::Subcommand;

use super::GlobalFlags;
use super::config_check::ConfigCheck;
use super::config_show::ConfigShow;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::{Flags, Problems, Settings};

/// The commands about settings.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Show every setting, its value and where it comes from
    Show(ConfigShow),
    /// Check the settings and tell everything that is wrong
    Check(ConfigCheck),
}

impl Config {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        match self {
            Self::Show(command) => command.run(common),
            Self::Check(command) => command.run(common),
        }
    }
}

/// Loads the settings from flags and the environment of this process.
///
/// # Errors
/// A [`Failure`] that tells all problems.
pub fn load(flags: &Flags) -> Result<Settings, Failure> {
    // a variable that is not text cannot be one of ours: their values are all text
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Settings::load(flags, env).map_err(|problems: Problems| {
        Failure::usage(problems.to_string())
            .hint("`hive config show --default` prints every key with its default and the reason for it")
    })
}
