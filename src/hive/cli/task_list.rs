//! `hive task list`: tasks, newest first.

use clap::Args;
use domain::{Name, TaskId, TaskState, Timestamp};
use protocol::TaskView;
use protocol::query::TaskQuery;

use super::Context;
use super::input;
use super::table::{Field, Table, nothing, number, state, text};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct TaskList {
    /// Only in this state
    #[arg(long, value_name = "STATE", value_parser = read_state)]
    state: Option<TaskState>,
    /// Only of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<Name>,
    /// Only of this kind
    #[arg(long, value_name = "NAME")]
    kind: Option<Name>,
    /// Only those that this agent holds or held last
    #[arg(long, value_name = "ID|NAME")]
    agent: Option<String>,
    /// Only with this label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = read_label)]
    label: Vec<(Name, String)>,
    /// Only those handed in after this moment: RFC 3339, or a span before now like 2h
    #[arg(long, value_name = "MOMENT", value_parser = input::moment)]
    created_after: Option<Timestamp>,
    /// Only those handed in before this moment
    #[arg(long, value_name = "MOMENT", value_parser = input::moment)]
    created_before: Option<Timestamp>,
    /// At most so many, 1 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Go on after the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<TaskId>,
}

impl TaskList {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let agent_id = match &self.agent {
            Some(asked) => Some(input::agent(&context.client, asked).await?),
            None => None,
        };
        let query = TaskQuery {
            state: self.state,
            queue: self.queue,
            agent_id,
            kind: self.kind,
            label: self.label,
            limit: self.limit,
            created_after: self.created_after,
            created_before: self.created_before,
            cursor: self.cursor,
        };
        let page = context.client.tasks(&query).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(page.text())?;
            return Ok(Exit::Fine);
        }
        if page.items.is_empty() && page.next_cursor.is_none() {
            screen.note("no tasks");
            return Ok(Exit::Fine);
        }
        let mut table = Table::new(&["ID", "STATE", "QUEUE", "PRIO", "TRY", "CREATED", "TITLE"], "TITLE");
        for task in &page.items {
            table.row([
                text(task.id.to_string()),
                state(task.state.as_str()),
                text(&task.queue),
                number(u64::from(task.priority)),
                tries(task),
                screen.moment(task.created_at),
                text(&task.title),
            ]);
        }
        screen.table(&table)?;
        if let Some(cursor) = &page.next_cursor {
            screen.note(&format!("there are more: --cursor {cursor}"));
        }
        Ok(Exit::Fine)
    }
}

fn tries(task: &TaskView) -> Field {
    if task.attempt == 0 { nothing() } else { number(u64::from(task.attempt)) }
}

fn read_state(word: &str) -> Result<TaskState, String> {
    TaskState::ALL
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| "must be scheduled, queued, working, completed, failed or canceled".to_owned())
}

fn read_label(text: &str) -> Result<(Name, String), String> {
    let (key, value) = input::label(text)?;
    let key = key.parse().map_err(|error: domain::name::NotAName| format!("the key {error}"))?;
    Ok((key, value))
}
