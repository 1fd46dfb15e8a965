//! The flags that say what an attempt used.

use clap::Args;
use protocol::UsageView;

use super::size::Size;
use crate::span::Span;

/// The flags.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "What it used")]
pub struct UsageFlags {
    /// Tokens read by models
    #[arg(long, value_name = "N")]
    input_tokens: Option<u64>,
    /// Tokens written by models
    #[arg(long, value_name = "N")]
    output_tokens: Option<u64>,
    /// Money, in US dollars
    #[arg(long, value_name = "AMOUNT")]
    cost_usd: Option<f64>,
    /// Processor time
    #[arg(long, value_name = "SPAN")]
    cpu: Option<Span>,
    /// Most memory, like 2G
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
}

impl UsageFlags {
    /// What they say; `None` when they say nothing.
    pub fn view(self) -> Option<UsageView> {
        let usage = UsageView {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_usd: self.cost_usd,
            cpu_ms: self.cpu.map(|span| span.ms),
            peak_rss_bytes: self.memory.map(|size| size.bytes),
        };
        (usage != UsageView::default()).then_some(usage)
    }
}
