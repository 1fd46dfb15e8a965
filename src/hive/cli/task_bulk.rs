//! `hive task bulk`: hands in many tasks, a JSON object a line, up to 1,000 in one commit.

use clap::Args;
use protocol::{SubmitMany, SubmitTask, SubmittedItem};

use super::Context;
use super::json_lines::{JsonLines, Part, Sort};
use super::words::refusal;
use crate::exit::Exit;
use crate::failure::Failure;

const TASKS: Sort = Sort { one: "task", example: "{\"title\":\"Say hello\",\"queue\":\"default\"}" };

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::BULK)]
pub struct TaskBulk {
    /// File with a JSON object a line, or - for stdin
    #[arg(value_name = "FILE|-")]
    file: String,
    /// The same key with the same file twice makes each task once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl TaskBulk {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut tasks = JsonLines::open(&self.file, TASKS, context)?;
        let (mut parts, mut exit) = (0_u32, Exit::Fine);
        while let Some(part) = tasks.part()? {
            let key = self.idempotency_key.as_ref().map(|key| format!("{key}.{parts}"));
            parts = parts.saturating_add(1);
            exit = hand_in(context, part, key.as_deref()).await?.unwrap_or(exit);
        }
        Ok(exit)
    }
}

/// Hands a part in and prints what became of it; answers how to end when some of it was refused.
async fn hand_in(
    context: &mut Context,
    part: Part<SubmitTask>,
    key: Option<&str>,
) -> Result<Option<Exit>, Failure> {
    let asked = SubmitMany { tasks: part.items };
    let answer = context.client.submit_many(&asked, key).await?;
    if context.screen.is_json() {
        context.screen.line(answer.text())?;
    }
    let mut exit = None;
    for (item, line) in answer.items.iter().zip(part.lines) {
        match item {
            SubmittedItem { task: Some(task), .. } if !context.screen.is_json() => {
                context.screen.line(&task.id.to_string())?;
            }
            SubmittedItem { task: Some(_), .. } => {}
            SubmittedItem { problem, .. } => {
                exit = Some(Exit::Refused);
                context.screen.note(&format!("line {line}: {}", refusal(problem.as_ref())));
            }
        }
    }
    Ok(exit)
}
