//! `hive session health`: whether sessions are served and take what they are sent.

use clap::Args;

use super::Context;
use super::table::{Facts, state, text};
use super::words::count;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct SessionHealth {}

impl SessionHealth {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let health = context.client.live_health().await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(health.text())?;
        } else {
            let wide = |number: usize| count(u64::try_from(number).unwrap_or(u64::MAX));
            let stats = health.connection_stats;
            let mut facts = Facts::default();
            facts.add("status", state(&health.overall_health.status));
            facts.add("score", text(format!("{:.0} of 100", health.overall_health.score)));
            facts.add("hubs", text(format!("{} run, {}", wide(stats.hubs), health.websocket_manager)));
            let blocked = wide(stats.blocked_connections);
            facts.add("sessions", text(format!("{}, {blocked} behind", wide(stats.total_connections))));
            screen.facts(&facts)?;
        }
        // what was seen is told before what follows from it
        context.screen.finish()?;
        if health.overall_health.status == "unhealthy" {
            let message =
                "sessions are unhealthy: most of them do not take what they are sent, or a hub is down";
            return Err(
                Failure::new(Exit::Unavailable, message).hint("`hive session list` shows who they are")
            );
        }
        Ok(Exit::Fine)
    }
}
