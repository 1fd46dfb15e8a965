//! `hive system performance`: what the hive did over a range of time.

use std::time::Duration;

use clap::Args;
use protocol::{PerformanceFigures, PerformanceQuery, SpreadView};

use super::Context;
use super::table::{Facts, Field, Table, nothing, number, text};
use super::words::{count, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::{Span, in_words};

/// The flags.
#[derive(Debug, Args)]
pub struct SystemPerformance {
    /// How far back, from 5m to 30d, like 90m or 7d
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = range)]
    range: u32,
}

/// A span of whole minutes that the hive can show, in seconds.
fn range(text: &str) -> Result<u32, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    let seconds = u32::try_from(span.ms / 1_000).unwrap_or(u32::MAX);
    let is_whole = span.ms.is_multiple_of(60_000);
    let is_within = (protocol::RANGE_MIN_S..=protocol::RANGE_MAX_S).contains(&seconds);
    (is_whole && is_within)
        .then_some(seconds)
        .ok_or_else(|| "must be whole minutes, from 5m to 30d".to_owned())
}

impl SystemPerformance {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let query = PerformanceQuery { range_s: Some(self.range) };
        let told = context.client.performance(&query).await?;
        if context.screen.is_json() {
            context.screen.line(told.text())?;
            return Ok(Exit::Fine);
        }
        context.screen.facts(&facts(&told.total, self.range))?;
        let mut table = Table::new(
            &[
                "SINCE",
                "REQUESTS",
                "ERRORS",
                "P95",
                "SUBMITTED",
                "COMPLETED",
                "RETRIED",
                "FAILED",
                "WAIT P95",
                "RUN P95",
            ],
            "SINCE",
        );
        let busy = |step: &&PerformanceFigures| {
            step.requests + step.submitted + step.started + step.completed + step.retried + step.failed > 0
        };
        for step in told.steps.iter().filter(busy) {
            table.row([
                context.screen.moment(step.at),
                number(step.requests),
                number(step.errors),
                ms(step.request_ms.p95),
                number(step.submitted),
                number(step.completed),
                number(step.retried),
                number(step.failed),
                ms(step.wait_ms.p95),
                ms(step.run_ms.p95),
            ]);
        }
        context.screen.table(&table)?;
        let step = in_words(Duration::from_secs(u64::from(told.step_seconds)));
        context.screen.note(&format!("a line is {step}; those in which nothing happened are left out"));
        Ok(Exit::Fine)
    }
}

fn facts(total: &PerformanceFigures, range_s: u32) -> Facts {
    let mut facts = Facts::default();
    facts.add("range", text(in_words(Duration::from_secs(u64::from(range_s)))));
    let requests = counted(total.requests, "request");
    let errors = counted(total.errors, "error");
    facts.add("requests", text(format!("{requests}, {errors}, {:.1}/s", total.requests_per_second)));
    facts.add("latency", text(spread(total.request_ms)));
    facts.add(
        "tasks",
        text(format!(
            "{} submitted, {} completed ({:.1}/s), {} retried, {} failed",
            count(total.submitted),
            count(total.completed),
            total.completed_per_second,
            count(total.retried),
            count(total.failed)
        )),
    );
    facts.add("waited", text(spread(total.wait_ms)));
    facts.add("ran", text(spread(total.run_ms)));
    facts
}

fn spread(spread: SpreadView) -> String {
    let SpreadView { p50: Some(p50), p95: Some(p95), p99: Some(p99), max: Some(max), .. } = spread else {
        return "nothing measured".to_owned();
    };
    format!("p50 {}, p95 {}, p99 {}, longest {}", shown(p50), shown(p95), shown(p99), shown(max))
}

fn ms(value: Option<f64>) -> Field {
    value.map_or_else(nothing, |value| text(shown(value)))
}

/// Milliseconds with as many digits as tell something; longer times in words.
fn shown(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..1_000.0 => format!("{ms:.0} ms"),
        _ => in_words(Duration::from_secs_f64(ms / 1_000.0)),
    }
}
