//! `hive agent remove`.

use clap::Args;

use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AgentRemove {
    /// The agent
    #[arg(value_name = "ID|NAME")]
    agent: String,
}

impl AgentRemove {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await?;
        context.client.remove_agent(id).await?;
        context.screen.note(&format!("{} is removed; what it holds it may still finish", self.agent));
        Ok(Exit::Fine)
    }
}
