//! `hive agent resume`: the agent takes tasks again.

use clap::Args;

use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AgentResume {
    /// The agent
    #[arg(value_name = "ID|NAME")]
    agent: String,
}

impl AgentResume {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await?;
        let agent = context.client.resume_agent(id).await?;
        if context.screen.is_json() {
            context.screen.line(agent.text())?;
        } else {
            context.screen.note(&format!("{} takes tasks again", agent.name));
        }
        Ok(Exit::Fine)
    }
}
