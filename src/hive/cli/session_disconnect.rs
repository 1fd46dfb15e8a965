//! `hive session disconnect`: an operator ends a session.

use clap::Args;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct SessionDisconnect {
    /// The session, as `hive session list` shows it
    #[arg(value_name = "SESSION")]
    id: String,
}

impl SessionDisconnect {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let ended = context.client.disconnect(&self.id).await?;
        if context.screen.is_json() {
            context.screen.line(ended.text())?;
        } else {
            context.screen.note(&format!("{} is closed with 4403; it may come back", ended.connection_id));
        }
        Ok(Exit::Fine)
    }
}
