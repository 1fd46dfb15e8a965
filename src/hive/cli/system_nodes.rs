//! `hive system nodes`: the processes of the hive, and what they use.

use std::time::Duration;

use clap::Args;

use super::Context;
use super::table::{Field, Table, nothing, number, state, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::in_words;

/// The flags.
#[derive(Debug, Args)]
pub struct SystemNodes {}

impl SystemNodes {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let nodes = context.client.nodes().await?;
        if context.screen.is_json() {
            context.screen.line(nodes.text())?;
            return Ok(Exit::Fine);
        }
        let header = &["NODE", "PHASE", "VERSION", "PID", "UP", "ATTEMPTS", "CPU", "MEMORY", "THREADS"];
        let mut table = Table::new(header, "NODE");
        for node in &nodes.items {
            table.row([
                text(node.node.to_string()),
                state(&node.phase),
                text(&node.version),
                text(node.pid.to_string()),
                span(Some(node.uptime_seconds.saturating_mul(1_000))),
                number(node.attempts),
                span(node.cpu_ms),
                node.memory_bytes.map_or_else(nothing, |bytes| text(format!("{} MiB", bytes >> 20))),
                node.threads.map_or_else(nothing, |threads| number(u64::from(threads))),
            ]);
        }
        context.screen.table(&table)?;
        Ok(Exit::Fine)
    }
}

fn span(ms: Option<u64>) -> Field {
    ms.map_or_else(nothing, |ms| text(in_words(Duration::from_millis(ms))))
}
