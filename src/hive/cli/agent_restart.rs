//! `hive agent restart`: the agent's actor begins anew.

use clap::Args;

use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::AGENT_RESTART)]
pub struct AgentRestart {
    /// The agent
    #[arg(value_name = "ID|NAME")]
    agent: String,
}

impl AgentRestart {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await?;
        let agent = context.client.restart_agent(id).await?;
        if context.screen.is_json() {
            context.screen.line(agent.text())?;
        } else {
            context.screen.note(&format!("{} begins anew; it keeps what it works on", agent.name));
        }
        Ok(Exit::Fine)
    }
}
