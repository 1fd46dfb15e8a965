//! `hive man`: the pages for `man`, made from the command line itself.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::Cli;
use crate::backup::place::make_folder;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hive man | man -l -\n  sudo hive man --dir /usr/local/share/man/man1; man hive-task-submit"
)]
pub struct Man {
    /// Write the page of every command into this folder, instead of the first one to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let pages = pages()?;
        let Some(folder) = self.dir else {
            let first = pages.first().map(|(_, page)| page.as_slice()).unwrap_or_default();
            std::io::stdout().write_all(first)?;
            return Ok(Exit::Fine);
        };
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Environment, format!("cannot write into {}: {error}", folder.display()))
        };
        if !folder.is_dir() {
            make_folder(&folder).map_err(failed)?;
        }
        for (name, page) in &pages {
            std::fs::write(folder.join(name), page).map_err(failed)?;
        }
        super::Screen::of_process(false).note(&format!("{} pages in {}", pages.len(), folder.display()));
        Ok(Exit::Fine)
    }
}

/// Every page with the name of its file, that of `hive` first.
fn pages() -> Result<Vec<(String, Vec<u8>)>, Failure> {
    // before it is built: the commands for help are told on every page anyhow
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add(&root, &mut pages)?;
    Ok(pages)
}

fn add(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    if command.is_hide_set() || command.get_name() == "help" {
        return Ok(());
    }
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().try_for_each(|below| add(below, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of files, with the flags that each page must tell.
    fn expected(command: &clap::Command, into: &mut Vec<(String, Vec<String>)>) {
        let long = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(clap::Arg::get_long);
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        into.push((format!("{name}.1"), long.map(str::to_owned).collect()));
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            expected(below, into);
        }
    }

    #[test]
    fn there_is_a_page_for_every_command_which_names_every_flag() {
        let mut root = Cli::command();
        root.build();
        let mut wanted = Vec::new();
        expected(&root, &mut wanted);
        let pages = pages().unwrap();
        assert!(wanted.len() > 30, "{}", wanted.len());
        assert_eq!(pages.len(), wanted.len());
        for (name, flags) in wanted {
            let (_, page) =
                pages.iter().find(|(found, _)| *found == name).unwrap_or_else(|| panic!("{name}"));
            let page = String::from_utf8(page.clone()).unwrap().replace("\\-", "-");
            assert!(page.contains(".TH "), "{name}");
            for flag in flags {
                // in bold, as the list of options has it: examples name flags as well
                assert!(page.contains(&format!("\\fB--{flag}\\fR")), "--{flag} in {name}");
            }
        }
    }

    #[test]
    fn the_first_page_names_every_command_and_every_exit_code() {
        let pages = pages().unwrap();
        let (name, page) = pages.first().unwrap();
        let page = String::from_utf8(page.clone()).unwrap().replace("\\-", "-");
        assert_eq!(name, "hive.1");
        for command in Cli::command().get_subcommands() {
            assert!(page.contains(&format!("hive-{}(1)", command.get_name())), "{}", command.get_name());
        }
        for exit in Exit::ALL {
            assert!(page.contains(exit.meaning()), "{}", exit.meaning());
        }
    }
}
