//! `hive session contract`: which versions of the contract are spoken.

use clap::Args;

use super::Context;
use super::table::{Facts, text};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct SessionContract {}

impl SessionContract {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let contract = context.client.live_contract().await?;
        if context.screen.is_json() {
            context.screen.line(contract.text())?;
            return Ok(Exit::Fine);
        }
        let mut facts = Facts::default();
        facts.add("spoken", text(&contract.current_version));
        facts.add("understood", text(contract.supported_versions.join(", ")));
        facts.add("policy", text(&contract.deprecation_policy.policy));
        facts.add("notice", text(&contract.deprecation_policy.notice));
        context.screen.facts(&facts)?;
        Ok(Exit::Fine)
    }
}
