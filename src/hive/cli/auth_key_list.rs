//! `hive auth key list`.

use clap::Args;
use protocol::query::PageQuery;

use super::Context;
use super::table::{Table, Tone, nothing, text, toned};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AuthKeyList {
    /// At most so many, 1 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Go on after the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl AuthKeyList {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let query = PageQuery { limit: self.limit, cursor: self.cursor };
        let page = context.client.api_keys(&query).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(page.text())?;
            return Ok(Exit::Fine);
        }
        if page.items.is_empty() && page.next_cursor.is_none() {
            screen.note("no API keys; `hive auth key create NAME --role ROLE` makes one");
            return Ok(Exit::Fine);
        }
        let header = &["ID", "NAME", "ROLE", "BEGINS", "AGENT", "CREATED", "BY", "EXPIRES"];
        let mut table = Table::new(header, "BY");
        for key in &page.items {
            table.row([
                text(key.id.to_string()),
                text(&key.name),
                text(&key.role),
                text(&key.prefix),
                key.agent_id.map_or_else(nothing, |agent| text(agent.to_string())),
                screen.moment(key.created_at),
                text(&key.created_by),
                match key.expires_at {
                    Some(_) if key.expired => toned("expired", Tone::Bad),
                    Some(at) => screen.moment(at),
                    None => toned("never", Tone::Dim),
                },
            ]);
        }
        screen.table(&table)?;
        if let Some(cursor) = &page.next_cursor {
            screen.note(&format!("there are more: --cursor {cursor}"));
        }
        Ok(Exit::Fine)
    }
}
