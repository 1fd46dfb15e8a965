//! `hive agent list`.

use clap::Args;
use protocol::query::PageQuery;

use super::Context;
use super::table::{Table, nothing, number, state, text};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AgentList {
    /// At most so many, 1 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Go on after the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl AgentList {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let query = PageQuery { limit: self.limit, cursor: self.cursor };
        let page = context.client.agents(&query).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(page.text())?;
            return Ok(Exit::Fine);
        }
        if page.items.is_empty() && page.next_cursor.is_none() {
            screen.note("no agents yet; `hive agent add NAME` registers one");
            return Ok(Exit::Fine);
        }
        let header = &["ID", "NAME", "STATE", "ROLE", "LOAD", "DONE", "FAILED", "SEEN", "CAPABILITIES"];
        let mut table = Table::new(header, "CAPABILITIES");
        for agent in &page.items {
            table.row([
                text(agent.id.to_string()),
                text(&agent.name),
                state(&agent.state),
                text(&agent.role),
                text(format!("{}/{}", agent.working, agent.capacity)),
                number(agent.completed),
                number(agent.failed),
                agent.last_activity_at.map_or_else(nothing, |at| screen.moment(at)),
                if agent.capabilities.is_empty() { nothing() } else { text(agent.capabilities.join(", ")) },
            ]);
        }
        screen.table(&table)?;
        if let Some(cursor) = &page.next_cursor {
            screen.note(&format!("there are more: --cursor {cursor}"));
        }
        Ok(Exit::Fine)
    }
}
