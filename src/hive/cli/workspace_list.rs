//! `hive workspace list`.

use clap::Args;
use protocol::WorkspaceView;

use super::Context;
use super::table::{Field, Table, Tone, nothing, number, text, toned};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct WorkspaceList {}

impl WorkspaceList {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let found = context.client.workspaces().await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(found.text())?;
            return Ok(Exit::Fine);
        }
        if found.items.is_empty() {
            screen.note("no workspaces");
            return Ok(Exit::Fine);
        }
        let header = &["TASK", "ATTEMPT", "AGENT", "STATE", "FILES", "BRANCH", "MADE", "PATH"];
        let mut table = Table::new(header, "PATH");
        for view in &found.items {
            table.row([
                text(view.task_id.to_string()),
                number(u64::from(view.attempt)),
                text(&view.agent),
                condition(view),
                view.files_changed.map_or_else(nothing, number),
                text(&view.branch),
                screen.moment(view.created_at),
                text(&view.path),
            ]);
        }
        screen.table(&table)?;
        Ok(Exit::Fine)
    }
}

fn condition(view: &WorkspaceView) -> Field {
    match (view.in_use, view.clean) {
        (true, _) => toned("in use", Tone::Busy),
        (false, true) => toned("clean", Tone::Good),
        (false, false) => toned("uncommitted", Tone::Warn),
    }
}
