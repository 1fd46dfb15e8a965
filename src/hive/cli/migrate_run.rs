//! `hive migrate run`: brings the schema up to date, or prints what that would do.

use clap::Args;
use serde_json::json;
use store::migrations::{self, Migrated, Step};

use super::GlobalFlags;
use super::migrate::{DatabaseFlags, Found};
use super::screen::Screen;
use super::words::counted;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::MIGRATE_RUN)]
pub struct MigrateRun {
    /// Print the SQL of what is pending; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl MigrateRun {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let found = self.database.find(common)?;
        let mut screen = Screen::of_process(common.json);
        if self.dry_run {
            foretell(&found, &mut screen)?
        } else {
            migrate(&found, &mut screen)?
        }
        screen.finish()?;
        Ok(Exit::Fine)
    }
}

fn foretell(found: &Found, screen: &mut Screen) -> Result<(), Failure> {
    let steps = migrations::status(&found.place).map_err(|error| found.explain(&error))?;
    let pending: Vec<&Step> = steps.iter().filter(|step| step.applied_at.is_none()).collect();
    if screen.is_json() {
        let items: Vec<_> =
            pending.iter().map(|step| json!({ "migration": step.name, "sql": step.sql })).collect();
        screen.line(&json!({ "pending": pending.len(), "items": items }).to_string())?;
        return Ok(());
    }
    for step in &pending {
        screen.line(&format!("-- {}, in a transaction of its own", step.name))?;
        screen.raw(step.sql)?;
        screen.line("")?;
    }
    screen.note(&format!("{} pending; nothing was changed", counted(length(pending.len()), "migration")));
    Ok(())
}

fn migrate(found: &Found, screen: &mut Screen) -> Result<(), Failure> {
    let Migrated { applied, copy, .. } =
        migrations::run(&found.place).map_err(|error| found.explain(&error))?;
    let copy = copy.map(|path| path.to_string_lossy().into_owned());
    let millis = |took: std::time::Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if screen.is_json() {
        let items: Vec<_> = applied
            .iter()
            .map(|applied| json!({ "migration": applied.name, "took_ms": millis(applied.took) }))
            .collect();
        screen.line(&json!({ "applied": applied.len(), "items": items, "copy": copy }).to_string())?;
        return Ok(());
    }
    for applied in &applied {
        screen.line(&format!("applied {} in {} ms", applied.name, millis(applied.took)))?;
    }
    if let Some(copy) = copy {
        screen.note(&format!("the database as it was before is kept in {copy}"));
    }
    if applied.is_empty() {
        screen.note("nothing is pending; nothing was changed");
    }
    Ok(())
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
