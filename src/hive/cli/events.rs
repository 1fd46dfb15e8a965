//! `hive events`: the log, oldest first; with `--follow` also what happens next.

use clap::Args;
use domain::TaskId;
use protocol::EventView;
use protocol::page::LIMIT_DEFAULT;
use protocol::query::{EventQuery, PageQuery};

use super::Context;
use super::events_follow::follow;
use super::screen::Screen;
use super::table::{Table, nothing, number, text};
use super::words::{compact, one_line};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::EVENTS)]
pub struct Events {
    /// Only what came after this number [default: the newest events]
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// At most so many, 1 to 200 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Only of this task, from its first event on
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
    /// Go on with what happens, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

impl Events {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        if self.follow {
            return follow(context, self.after, self.limit, self.task).await;
        }
        let client = &context.client;
        let page = match (self.task, self.after) {
            (Some(task), after) => {
                let cursor = after.map(|seq| seq.to_string());
                client.task_events(task, &PageQuery { limit: self.limit, cursor }).await?
            }
            (None, Some(after)) => client.events(&self.query(Some(after))).await?,
            (None, None) => {
                let newest = client.system().await?.log.last_seq;
                let limit = i64::from(self.limit.unwrap_or(LIMIT_DEFAULT));
                client.events(&self.query(Some(newest.saturating_sub(limit).max(0)))).await?
            }
        };
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(page.text())?;
            return Ok(Exit::Fine);
        }
        if page.items.is_empty() {
            screen.note("no events");
            return Ok(Exit::Fine);
        }
        screen.table(&table(&page.items, screen))?;
        if let (Some(_), Some(last)) = (&page.next_cursor, page.items.last()) {
            screen.note(&format!("there may be more: --after {}", last.seq));
        }
        Ok(Exit::Fine)
    }

    fn query(&self, after: Option<i64>) -> EventQuery {
        EventQuery { after, limit: self.limit, cursor: None }
    }
}

pub(super) fn table(events: &[EventView], screen: &Screen) -> Table {
    let mut table = Table::new(&["SEQ", "AT", "KIND", "TASK", "AGENT", "TRY", "QUEUE", "DATA"], "DATA");
    for event in events {
        table.row([
            text(event.seq.to_string()),
            screen.moment(event.at),
            text(&event.kind),
            event.task_id.map_or_else(nothing, |id| text(id.to_string())),
            event.agent_id.map_or_else(nothing, |id| text(id.to_string())),
            event.attempt.map_or_else(nothing, |attempt| number(u64::from(attempt))),
            event.queue.as_ref().map_or_else(nothing, text),
            match event.data.get() {
                "{}" => nothing(),
                data => text(one_line(&compact(data))),
            },
        ]);
    }
    table
}
