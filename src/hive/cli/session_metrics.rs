//! `hive session metrics`: the figures of sessions as Prometheus reads them.

use clap::Args;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct SessionMetrics {}

impl SessionMetrics {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let metrics = context.client.live_metrics().await?;
        context.screen.raw(&metrics)?;
        Ok(Exit::Fine)
    }
}
