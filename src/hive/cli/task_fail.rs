//! `hive task fail`: reports that an attempt failed.

use clap::Args;
use domain::TaskId;
use protocol::{ErrorView, FailRequest};

use super::Context;
use super::usage_flags::UsageFlags;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::FAIL)]
pub struct TaskFail {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The attempt that the assignment named
    #[arg(long, value_name = "N")]
    attempt: u32,
    /// What went wrong, in a word that programs can act on, like rate_limited
    #[arg(long, value_name = "WORD", default_value = "failed")]
    error_kind: String,
    /// What went wrong, in a sentence for people
    #[arg(long, value_name = "TEXT")]
    message: String,
    /// Trying again is no use: make it a dead letter at once
    #[arg(long)]
    no_retry: bool,
    #[command(flatten)]
    usage: UsageFlags,
}

impl TaskFail {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let asked = FailRequest {
            attempt: self.attempt,
            error: ErrorView { kind: self.error_kind, message: self.message },
            retryable: self.no_retry.then_some(false),
            usage: self.usage.view(),
        };
        let answer = context.client.fail(self.id, &asked).await?;
        if context.screen.is_json() {
            context.screen.line(answer.text())?;
        } else {
            context.screen.note(&format!("{} is {}", self.id, answer.state.as_str()));
        }
        Ok(Exit::Fine)
    }
}
