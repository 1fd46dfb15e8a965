//! `hive completions`: what the shell completes after `hive `.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  source <(hive completions bash)")]
pub struct Completions {
    /// Your shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        // into memory first: the generator does not survive a pipe that breaks
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "hive", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(Exit::Fine)
    }
}
