//! `hive task output`: what an attempt wrote, or what the attempts write, as they write it.

use clap::Args;
use domain::TaskId;
use protocol::page::LIMIT_MAX;
use protocol::query::PageQuery;

use super::Context;
use super::output_follow::follow;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::OUTPUT)]
pub struct TaskOutput {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Of this attempt [default: the latest]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Print it as it comes, until the task has ended
    #[arg(long, short, conflicts_with = "attempt")]
    follow: bool,
}

impl TaskOutput {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        if self.follow {
            return follow(context, self.id).await;
        }
        let attempt = match self.attempt {
            Some(attempt) => attempt,
            None => context.client.task(self.id).await?.attempt,
        };
        let mut query = PageQuery { limit: Some(LIMIT_MAX), cursor: None };
        let (mut is_empty, mut is_truncated) = (true, false);
        loop {
            let page = context.client.output(self.id, &query).await?;
            if context.screen.is_json() {
                context.screen.line(page.text())?;
            } else {
                for chunk in page.items.iter().filter(|chunk| chunk.attempt == attempt) {
                    context.screen.raw(&chunk.text)?;
                    is_empty = false;
                    is_truncated |= chunk.truncated;
                }
            }
            query.cursor = page.into_value().next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        if context.screen.is_json() {
            return Ok(Exit::Fine);
        }
        if is_empty {
            context
                .screen
                .note(&format!("attempt {attempt} has written nothing; --attempt names another one"));
        }
        if is_truncated {
            context.screen.note("the rest was cut: the attempt wrote more than the hive keeps");
        }
        Ok(Exit::Fine)
    }
}
