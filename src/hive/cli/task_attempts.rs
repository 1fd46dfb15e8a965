//! `hive task attempts`: every try at a task, the latest first.

use clap::Args;
use domain::TaskId;
use protocol::query::PageQuery;
use protocol::{AttemptView, UsageView};

use super::Context;
use super::screen::Screen;
use super::table::{Table, nothing, number, state, text};
use super::words::{count, counted, one_line};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct TaskAttempts {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// At most so many, 1 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Go on after the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl TaskAttempts {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let query = PageQuery { limit: self.limit, cursor: self.cursor };
        let page = context.client.attempts(self.id, &query).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(page.text())?;
            return Ok(Exit::Fine);
        }
        if page.items.is_empty() {
            screen.note(&format!("no attempts; `hive task explain {}` says why", self.id));
            return Ok(Exit::Fine);
        }
        for (place, table) in tables(&page.items, screen).iter().enumerate() {
            if place > 0 {
                screen.line("")?;
            }
            screen.table(table)?;
        }
        if let Some(cursor) = &page.next_cursor {
            screen.note(&format!("there are more: --cursor {cursor}"));
        }
        Ok(Exit::Fine)
    }
}

/// How attempts fared, what they used and what they left, as far as something is known.
pub fn tables(attempts: &[AttemptView], screen: &Screen) -> Vec<Table> {
    let mut tables = vec![attempts_table(attempts, screen), usage_table(attempts), workspace_table(attempts)];
    tables.retain(|table| !table.is_empty());
    tables
}

/// What an attempt or a task used, in words; `None` when nothing is known.
pub fn usage(usage: &UsageView) -> Option<String> {
    let counted = |number: Option<u64>, what: &str| number.map(|number| format!("{} {what}", count(number)));
    let parts = [
        counted(usage.input_tokens, "tokens in"),
        counted(usage.output_tokens, "tokens out"),
        usage.cost_usd.map(|cost| format!("{cost} USD")),
        counted(usage.cpu_ms, "ms of CPU"),
        counted(usage.peak_rss_bytes, "bytes at most"),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn attempts_table(attempts: &[AttemptView], screen: &Screen) -> Table {
    let mut table = Table::new(&["ATTEMPT", "OUTCOME", "AGENT", "STARTED", "ENDED", "ERROR"], "ERROR");
    for attempt in attempts {
        let error = attempt.error.as_ref();
        table.row([
            number(u64::from(attempt.attempt)),
            attempt.outcome.map_or_else(|| state("working"), |outcome| state(outcome.as_str())),
            attempt.agent_id.map_or_else(nothing, |id| text(id.to_string())),
            screen.moment(attempt.started_at),
            attempt.ended_at.map_or_else(nothing, |at| screen.moment(at)),
            error.map_or_else(nothing, |error| text(one_line(&format!("{}: {}", error.kind, error.message)))),
        ]);
    }
    table
}

/// What each attempt cost that says so.
fn usage_table(attempts: &[AttemptView]) -> Table {
    let mut table = Table::new(&["ATTEMPT", "USAGE"], "USAGE");
    for attempt in attempts {
        if let Some(told) = attempt.usage.as_ref().and_then(usage) {
            table.row([number(u64::from(attempt.attempt)), text(told)]);
        }
    }
    table
}

/// What each attempt left that had a workspace.
fn workspace_table(attempts: &[AttemptView]) -> Table {
    let mut table = Table::new(&["ATTEMPT", "BRANCH", "FILES", "DIFF", "KEPT", "WORKSPACE"], "WORKSPACE");
    for attempt in attempts {
        let Some(workspace) = &attempt.workspace else { continue };
        let diff_bytes = workspace.diff.as_ref().map(|diff| u64::try_from(diff.len()).unwrap_or(u64::MAX));
        table.row([
            number(u64::from(attempt.attempt)),
            workspace.branch.as_ref().map_or_else(nothing, text),
            workspace.files_changed.map_or_else(nothing, number),
            diff_bytes.map_or_else(nothing, |bytes| text(counted(bytes, "byte"))),
            text(if workspace.kept { "yes" } else { "no" }),
            text(&workspace.path),
        ]);
    }
    table
}
