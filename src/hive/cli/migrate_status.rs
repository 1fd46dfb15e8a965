//! `hive migrate status`: every migration, and which of them the database has.

use clap::Args;
use serde_json::json;
use store::migrations::{self, Step};

use super::GlobalFlags;
use super::migrate::DatabaseFlags;
use super::screen::Screen;
use super::table::{Table, Tone, text, toned};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::MIGRATE_STATUS)]
pub struct MigrateStatus {
    #[command(flatten)]
    database: DatabaseFlags,
}

impl MigrateStatus {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let found = self.database.find(common)?;
        let steps = migrations::status(&found.place).map_err(|error| found.explain(&error))?;
        let mut screen = Screen::of_process(common.json);
        if screen.is_json() {
            let pending = steps.iter().filter(|step| step.applied_at.is_none()).count();
            let items: Vec<_> = steps.iter().map(object).collect();
            screen.line(&json!({ "pending": pending, "items": items }).to_string())?;
        } else {
            let mut table = Table::new(&["MIGRATION", "STATE", "APPLIED"], "MIGRATION");
            for step in &steps {
                table.row([text(step.name), state(step), when(&screen, step)]);
            }
            screen.table(&table)?;
        }
        screen.finish()?;
        Ok(Exit::Fine)
    }
}

const fn word(step: &Step) -> &'static str {
    if step.applied_at.is_some() { "applied" } else { "pending" }
}

fn object(step: &Step) -> serde_json::Value {
    let applied_at = step.applied_at.map(protocol::time::show);
    json!({ "migration": step.name, "state": word(step), "applied_at": applied_at })
}

fn state(step: &Step) -> super::table::Field {
    let tone = if step.applied_at.is_some() { Tone::Good } else { Tone::Warn };
    toned(word(step), tone)
}

fn when(screen: &Screen, step: &Step) -> super::table::Field {
    step.applied_at.map_or_else(super::table::nothing, |at| screen.moment(at))
}
