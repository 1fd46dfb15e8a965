//! `hive agent drain`: the agent takes nothing new and finishes what it has.

use clap::Args;

use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AgentDrain {
    /// The agent
    #[arg(value_name = "ID|NAME")]
    agent: String,
}

impl AgentDrain {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await?;
        let agent = context.client.drain_agent(id).await?;
        if context.screen.is_json() {
            context.screen.line(agent.text())?;
        } else {
            context
                .screen
                .note(&format!("{} drains: it finishes what it has and takes nothing new", agent.name));
        }
        Ok(Exit::Fine)
    }
}
