//! `hive task complete`: reports that an attempt did its task.

use clap::Args;
use domain::TaskId;
use protocol::CompleteRequest;

use super::usage_flags::UsageFlags;
use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::COMPLETE)]
pub struct TaskComplete {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The attempt that the assignment named
    #[arg(long, value_name = "N")]
    attempt: u32,
    /// The result as JSON: as it stands, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    result: Option<String>,
    #[command(flatten)]
    usage: UsageFlags,
}

impl TaskComplete {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let stdin = std::io::stdin();
        let result = self.result.map(|asked| input::json("--result", &asked, stdin.lock())).transpose()?;
        let asked = CompleteRequest { attempt: self.attempt, result, usage: self.usage.view() };
        let answer = context.client.complete(self.id, &asked).await?;
        if context.screen.is_json() {
            context.screen.line(answer.text())?;
        } else {
            context.screen.note(&format!("{} is {}", self.id, answer.state.as_str()));
        }
        Ok(Exit::Fine)
    }
}
