//! `hive system health`: how each part of the hive is doing, and whether it takes requests.

use clap::Args;
use protocol::{HealthStatus, HealthView};

use super::Context;
use super::table::{Table, state, text};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::HEALTH)]
pub struct SystemHealth {}

impl SystemHealth {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let health = context.client.health().await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(health.text())?;
        } else {
            screen.table(&table(&health))?;
        }
        // what was seen is told before what follows from it
        context.screen.finish()?;
        context.client.ready().await?;
        if health.status == HealthStatus::Unhealthy {
            return Err(Failure::new(Exit::Unavailable, "the hive is unhealthy: a part of it does not work"));
        }
        Ok(Exit::Fine)
    }
}

fn table(health: &HealthView) -> Table {
    let mut table = Table::new(&["PART", "STATUS", "MS", "DETAILS"], "DETAILS");
    for (name, part) in &health.components {
        table.row([
            text(name),
            state(word(part.status)),
            text(format!("{:.1}", part.response_time_ms)),
            text(&part.details),
        ]);
    }
    table.row([
        text("(all)"),
        state(word(health.status)),
        text(""),
        text(format!("hive {}", health.version)),
    ]);
    table
}

pub(super) const fn word(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Healthy => "healthy",
        HealthStatus::Degraded => "degraded",
        HealthStatus::Unhealthy => "unhealthy",
    }
}
