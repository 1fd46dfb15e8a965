//! The flags of a new agent that is a process, and the link that they ask for.

use clap::{Arg, Args};
use protocol::RegisterLink;

use super::link_flags::{HEADING, LinkFlags};
use crate::failure::Failure;

/// The flags. Exactly one of `--preset` and the command makes a process; all others need one of them.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(
    next_help_heading = HEADING,
    group = clap::ArgGroup::new("start").args(["preset", "command"]),
    mut_args(needs_start),
)]
pub struct ProcessFlags {
    /// Make it from a preset; see below for all of them
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    #[command(flatten)]
    link: LinkFlags,
}

/// A flag of a process says nothing where there is none.
fn needs_start(arg: Arg) -> Arg {
    let is_about_it = arg.get_help_heading() == Some(HEADING) && arg.get_id() != "preset";
    if is_about_it { arg.requires("start") } else { arg }
}

impl ProcessFlags {
    /// The link that the flags ask for; `None` for a worker. Paths that are relative to this folder become absolute.
    ///
    /// # Errors
    /// A [`Failure`] when a file cannot be read or a path is no text.
    pub fn link(self) -> Result<Option<RegisterLink>, Failure> {
        if self.preset.is_none() && self.link.command.is_empty() {
            return Ok(None);
        }
        let link = self.link.change(false)?;
        Ok(Some(RegisterLink {
            kind: domain::Link::PROCESS.to_owned(),
            preset: self.preset,
            command: link.command,
            args: link.args,
            cwd: link.cwd,
            env: link.env,
            inherit_env: link.inherit_env,
            prompt: link.prompt,
            result: link.result,
            workspace: link.workspace,
            timeout_ms: link.timeout_ms,
            limits: link.limits,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_preset_and_command_it_is_a_worker() {
        assert_eq!(ProcessFlags::default().link().unwrap(), None);
    }
}
