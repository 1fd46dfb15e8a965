//! `hive session limits`: what a session may send, and when it is closed.

use std::time::Duration;

use clap::Args;

use super::Context;
use super::size;
use super::table::{Facts, text};
use super::words::count;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::in_words;

/// The flags.
#[derive(Debug, Args)]
pub struct SessionLimits {}

impl SessionLimits {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let limits = context.client.live_limits().await?;
        if context.screen.is_json() {
            context.screen.line(limits.text())?;
            return Ok(Exit::Fine);
        }
        let seconds = |seconds| in_words(Duration::from_secs(seconds));
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut facts = Facts::default();
        let rate = format!(
            "{} a second, {} at once; one error each {}",
            limits.rate_limit_tokens_per_second,
            limits.rate_limit_burst_capacity,
            seconds(limits.rate_limit_notify_cooldown_seconds)
        );
        facts.add("messages", text(rate));
        facts.add("message", text(size::in_words(wide(limits.max_inbound_message_bytes))));
        facts.add("subscriptions", text(count(wide(limits.max_subscriptions_per_connection))));
        let missed = limits.backpressure_disconnect_threshold;
        facts.add("slow", text(format!("told after {missed} wake-ups in a row that it did not take")));
        facts.add("idle", text(format!("closed after {}", seconds(limits.idle_disconnect_seconds))));
        let origins = if limits.ws_allowed_origins_configured { "its own and named ones" } else { "its own" };
        facts.add("pages of", text(origins));
        facts.add("contract", text(&limits.contract_version));
        context.screen.facts(&facts)?;
        Ok(Exit::Fine)
    }
}
