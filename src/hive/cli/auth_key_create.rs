//! `hive auth key create`: makes an API key and prints it alone, so that a script can take it.

use clap::Args;
use protocol::{ApiKeyView, CreateApiKey};

use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::Span;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::KEY_CREATE)]
pub struct AuthKeyCreate {
    /// What people call it, and what stands in `created_by`: a-z 0-9 . _ -
    name: String,
    /// What its holder may do
    #[arg(long, value_name = "ROLE", value_parser = ["admin", "operator", "developer", "viewer", "agent"])]
    role: String,
    /// Which agent its holder is; with the role agent
    #[arg(long, value_name = "ID|NAME", required_if_eq("role", "agent"))]
    agent: Option<String>,
    /// How long it opens, like 90d [default: until it is removed]
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<Span>,
}

impl AuthKeyCreate {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let agent_id = match &self.agent {
            Some(_) if self.role != "agent" => {
                return Err(Failure::usage("--agent goes with --role agent"));
            }
            Some(agent) => Some(input::agent(&context.client, agent).await?.to_string()),
            None => None,
        };
        let asked = CreateApiKey {
            name: self.name,
            role: self.role,
            agent_id,
            expires_at: None,
            expires_in_s: self.expires_in.map(seconds),
        };
        let made = context.client.create_api_key(&asked, None).await?;
        if context.screen.is_json() {
            context.screen.line(made.text())?;
            return Ok(Exit::Fine);
        }
        let note = note(&made);
        // without a guard against repeats an answer always has it
        let key = made.into_value().key.map(protocol::SecretText::into_secret);
        context.screen.line(key.as_ref().map_or("", |key| key.reveal()))?;
        context.screen.note(&note);
        Ok(Exit::Fine)
    }
}

/// Whole seconds, at least one.
fn seconds(span: Span) -> u64 {
    span.ms.div_ceil(1_000)
}

fn note(made: &ApiKeyView) -> String {
    let end = match made.expires_at {
        Some(at) => format!("until {}", protocol::time::show(at)),
        None => "until it is removed".to_owned(),
    };
    format!(
        "{} ({}) is a key of the role {}, {end}; it is shown this once and cannot be shown again",
        made.name, made.id, made.role
    )
}
