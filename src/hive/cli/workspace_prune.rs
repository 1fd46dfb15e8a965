//! `hive workspace prune`: worktrees that nobody uses go.

use clap::Args;

use super::Context;
use super::table::{Table, Tone, nothing, number, text, toned};
use super::words::counted;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct WorkspacePrune {
    /// Remove those with uncommitted work, too; that work is lost
    #[arg(long)]
    force: bool,
}

impl WorkspacePrune {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let pruned = context.client.prune_workspaces(self.force).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(pruned.text())?;
            return Ok(Exit::Fine);
        }
        if pruned.items.is_empty() {
            screen.note("no workspaces");
            return Ok(Exit::Fine);
        }
        let mut table = Table::new(&["DONE", "TASK", "ATTEMPT", "BRANCH", "WHY", "PATH"], "PATH");
        let mut removed_count = 0_u64;
        for item in &pruned.items {
            removed_count = removed_count.saturating_add(u64::from(item.removed));
            table.row([
                if item.removed { toned("removed", Tone::Good) } else { toned("kept", Tone::Warn) },
                text(item.workspace.task_id.to_string()),
                number(u64::from(item.workspace.attempt)),
                text(&item.workspace.branch),
                item.kept_because.as_ref().map_or_else(nothing, text),
                text(&item.workspace.path),
            ]);
        }
        screen.table(&table)?;
        screen.note(&format!(
            "{} removed; branches stay, with what was committed there",
            counted(removed_count, "workspace")
        ));
        Ok(Exit::Fine)
    }
}
