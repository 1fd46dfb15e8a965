//! `hive session broadcast`: an operator says something to everybody who watches a topic.

use clap::Args;
use protocol::live::topic::Root;
use serde_json::json;
use serde_json::value::RawValue;

use super::Context;
use super::input;
use super::words::counted;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::BROADCAST)]
pub struct SessionBroadcast {
    /// What to say; sent as {"message": TEXT}
    #[arg(value_name = "TEXT", required_unless_present = "data")]
    text: Option<String>,
    /// Who hears it: the sessions that are subscribed to this topic, or to a part of it
    #[arg(long, value_name = "TOPIC", default_value = Root::System.as_str(), value_parser = read_topic)]
    topic: Root,
    /// What it is, for programs: letters a-z, digits and '_'
    #[arg(long = "type", value_name = "WORD", default_value = "notice")]
    kind: String,
    /// Any JSON in place of a text: as it stands, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", conflicts_with = "text")]
    data: Option<String>,
}

impl SessionBroadcast {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let data: Box<RawValue> = match (&self.data, &self.text) {
            (Some(data), _) => input::json("--data", data, std::io::stdin())?,
            (None, text) => serde_json::value::to_raw_value(&json!({ "message": text }))
                .map_err(|error| Failure::usage(format!("the text cannot be sent: {error}")))?,
        };
        let said = context.client.broadcast(self.topic.as_str(), &self.kind, &data).await?;
        if context.screen.is_json() {
            context.screen.line(said.text())?;
            return Ok(Exit::Fine);
        }
        let count = counted(u64::try_from(said.sessions).unwrap_or(u64::MAX), "session");
        context.screen.note(&format!("said to {count} that watch {}", said.subscription));
        Ok(Exit::Fine)
    }
}

fn read_topic(text: &str) -> Result<Root, String> {
    Root::ALL.into_iter().find(|root| root.as_str() == text).ok_or_else(|| {
        let known: Vec<&str> = Root::ALL.iter().map(|root| root.as_str()).collect();
        format!("must be one of {}", known.join(", "))
    })
}
