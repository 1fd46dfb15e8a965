//! `hive task heartbeat`: a sign of life of an attempt, which renews its lease.

use clap::Args;
use domain::TaskId;
use protocol::HeartbeatRequest;

use super::Context;
use super::table::{Facts, text};
use super::usage_flags::UsageFlags;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::HEARTBEAT)]
pub struct TaskHeartbeat {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The attempt that the assignment named
    #[arg(long, value_name = "N")]
    attempt: u32,
    /// How far it is, 0 to 1
    #[arg(long, value_name = "SHARE")]
    progress: Option<f64>,
    /// What it is doing, at most 256 characters
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    usage: UsageFlags,
}

impl TaskHeartbeat {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let usage = self.usage.view();
        let asked =
            HeartbeatRequest { attempt: self.attempt, progress: self.progress, message: self.message, usage };
        let answer = context.client.heartbeat(self.id, &asked).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(answer.text())?;
        } else {
            let mut facts = Facts::default();
            facts.add("lease ends", screen.moment(answer.lease_expires_at));
            facts.add("canceled", text(if answer.cancel_requested { "yes: end it soon" } else { "no" }));
            screen.facts(&facts)?;
        }
        Ok(Exit::Fine)
    }
}
