//! `hive workspace …`.

use clap::Subcommand;

use super::Context;
use super::workspace_list::WorkspaceList;
use super::workspace_prune::WorkspacePrune;
use crate::exit::Exit;
use crate::failure::Failure;

/// The commands about worktrees.
#[derive(Debug, Subcommand)]
pub enum Workspace {
    /// List the worktrees that attempts left
    List(WorkspaceList),
    /// Remove those that nobody uses and that hold no uncommitted work
    Prune(WorkspacePrune),
}

impl Workspace {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Prune(command) => command.run(context).await,
        }
    }
}
