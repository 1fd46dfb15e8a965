//! `hive demo`: shows a hive at work, and proves that the work is right.

use clap::Args;

use super::{GlobalFlags, Screen};
use crate::demo::{self, AGENTS_MAX, AGENTS_MIN, Wanted};
use crate::exit::Exit;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  hive demo                  six agents, sixty tasks, a few seconds
  hive demo --agents 250     a crowd
  hive demo --json           one line of JSON with what was measured
Ends with 0 when everything was right, 1 when something was not.";

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// How many agents, 6 to 250; each brings ten tasks
    #[arg(
        long,
        value_name = "N",
        default_value_t = AGENTS_MIN,
        value_parser = clap::value_parser!(u16).range(i64::from(AGENTS_MIN)..=i64::from(AGENTS_MAX)),
    )]
    agents: u16,
    /// Keep the folder with the scripts, the hive's data and its log, and say where it is
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        if common.data_dir.is_some() {
            return Err(Failure::usage(
                "the demo has a folder of its own, and --data-dir does not go with it",
            )
            .hint("--keep keeps that folder, and says where it is"));
        }
        let wanted = Wanted { agents: self.agents, is_kept: self.keep };
        let mut screen = Screen::of_process(common.json);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::surroundings(&error))?;
        let ended = runtime.block_on(demo::run(wanted, &mut screen));
        // what was written before a failure is still worth reading
        let flushed = screen.finish();
        let exit = ended?;
        flushed?;
        Ok(exit)
    }
}
