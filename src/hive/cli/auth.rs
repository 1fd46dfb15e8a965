//! `hive auth …`.

use clap::Subcommand;

use super::Context;
use super::auth_key_create::AuthKeyCreate;
use super::auth_key_list::AuthKeyList;
use super::auth_key_remove::AuthKeyRemove;
use crate::exit::Exit;
use crate::failure::Failure;

/// The commands about who gets in.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// Make, list and remove API keys
    #[command(subcommand)]
    Key(Key),
}

/// The commands about API keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make an API key; prints it, this once
    Create(AuthKeyCreate),
    /// List the keys, without themselves
    List(AuthKeyList),
    /// Remove a key; it opens nothing any more
    Remove(AuthKeyRemove),
}

impl Auth {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let Self::Key(command) = self;
        match command {
            Key::Create(command) => command.run(context).await,
            Key::List(command) => command.run(context).await,
            Key::Remove(command) => command.run(context).await,
        }
    }
}
