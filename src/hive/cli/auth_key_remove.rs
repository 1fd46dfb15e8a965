//! `hive auth key remove`.

use clap::Args;

use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AuthKeyRemove {
    /// The key
    #[arg(value_name = "ID|NAME")]
    key: String,
}

impl AuthKeyRemove {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::api_key(&context.client, &self.key).await?;
        context.client.remove_api_key(id).await?;
        context.screen.note(&format!("{} is removed; it opens nothing any more", self.key));
        Ok(Exit::Fine)
    }
}
