//! `hive task finish`: reports how many attempts ended, a JSON object a line, up to 1,000 in one commit.

use clap::Args;
use protocol::{FinishItem, FinishMany, FinishedItem};

use super::Context;
use super::json_lines::{JsonLines, Part, Sort};
use super::words::{one_line, refusal};
use crate::exit::Exit;
use crate::failure::Failure;

const REPORTS: Sort =
    Sort { one: "report", example: "{\"task_id\":\"task_…\",\"attempt\":1,\"result\":{\"words\":3}}" };

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::FINISH)]
pub struct TaskFinish {
    /// File with a JSON object a line, or - for stdin
    #[arg(value_name = "FILE|-")]
    file: String,
}

impl TaskFinish {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut reports = JsonLines::open(&self.file, REPORTS, context)?;
        let mut exit = Exit::Fine;
        while let Some(part) = reports.part()? {
            exit = report(context, part).await?.unwrap_or(exit);
        }
        Ok(exit)
    }
}

/// Reports a part and prints where each task stands; answers how to end when some of it was refused.
async fn report(context: &mut Context, part: Part<FinishItem>) -> Result<Option<Exit>, Failure> {
    let answer = context.client.finish_many(&FinishMany { items: part.items }).await?;
    if context.screen.is_json() {
        context.screen.line(answer.text())?;
    }
    let mut exit = None;
    for (item, line) in answer.items.iter().zip(part.lines) {
        match item {
            FinishedItem { state: Some(state), .. } if !context.screen.is_json() => {
                context.screen.line(&format!("{} {}", one_line(&item.task_id), state.as_str()))?;
            }
            FinishedItem { state: Some(_), .. } => {}
            FinishedItem { problem, .. } => {
                exit = Some(Exit::Refused);
                context.screen.note(&format!("line {line}: {}", refusal(problem.as_ref())));
            }
        }
    }
    Ok(exit)
}
