//! `hive queue list`.

use clap::Args;
use protocol::query::PageQuery;

use super::Context;
use super::table::{Table, nothing, number, state, text};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct QueueList {
    /// At most so many, 1 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Go on after the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl QueueList {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let query = PageQuery { limit: self.limit, cursor: self.cursor };
        let page = context.client.queues(&query).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(page.text())?;
            return Ok(Exit::Fine);
        }
        let header =
            &["NAME", "STATE", "LIMIT", "QUEUED", "SCHEDULED", "WORKING", "COMPLETED", "FAILED", "CANCELED"];
        let mut table = Table::new(header, "NAME");
        for queue in &page.items {
            let tasks = &queue.tasks;
            table.row([
                text(&queue.name),
                state(if queue.paused { "paused" } else { "open" }),
                queue.concurrency_limit.map_or_else(nothing, |limit| number(u64::from(limit))),
                number(tasks.queued),
                number(tasks.scheduled),
                number(tasks.working),
                number(tasks.completed),
                number(tasks.failed),
                number(tasks.canceled),
            ]);
        }
        screen.table(&table)?;
        if let Some(cursor) = &page.next_cursor {
            screen.note(&format!("there are more: --cursor {cursor}"));
        }
        Ok(Exit::Fine)
    }
}
