//! `hive session list`: who is connected over a WebSocket.

use clap::Args;

use super::Context;
use super::table::{Table, text};
use super::words::counted;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct SessionList {}

impl SessionList {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let stats = context.client.live_stats().await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(stats.text())?;
            return Ok(Exit::Fine);
        }
        let open = &stats.websocket_stats;
        if open.total_connections == 0 {
            screen.note("no sessions");
            return Ok(Exit::Fine);
        }
        let mut table =
            Table::new(&["ID", "ENDPOINT", "PRINCIPAL", "SINCE", "SUBSCRIPTIONS"], "SUBSCRIPTIONS");
        for session in &open.active_connections {
            table.row([
                text(&session.connection_id),
                text(&session.endpoint),
                text(&session.principal),
                screen.moment(session.connected_at),
                text(session.subscriptions.join(", ")),
            ]);
        }
        screen.table(&table)?;
        let hidden = open.total_connections.saturating_sub(open.active_connections.len());
        if hidden > 0 {
            let hidden = u64::try_from(hidden).unwrap_or(u64::MAX);
            screen.note(&format!("and {} that came later", counted(hidden, "session")));
        }
        Ok(Exit::Fine)
    }
}
