//! `GET /monitoring/performance`: what the hive did over a range of time.

use std::time::Duration;

use protocol::{PerformanceFigures, PerformanceQuery, PerformanceView, SpreadView};
use runtime::{Figures, Quantiles};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::Given;
use crate::state::Hive;

/// Show what the hive did over a range of time.
#[utoipa::path(get, path = "/api/v2/monitoring/performance", tag = "system", params(PerformanceQuery),
    responses((status = 200, description = "Figures of the whole range and of each of its steps; kept by the minute for \
        25 hours and by the hour for 31 days. A hive that was killed lacks its last minute", body = PerformanceView)))]
pub(crate) async fn show_performance(hive: Hive, _: Allowed<ReadHive>, given: Given) -> Answer {
    let asked = PerformanceQuery::read(given.0)?;
    let series = hive.runtime.performance(asked.range_s()).await?;
    ok(&PerformanceView {
        to: series.to,
        step_seconds: series.step_s,
        total: shown(&series.total),
        steps: series.steps.iter().map(shown).collect(),
    })
}

fn shown(figures: &Figures) -> PerformanceFigures {
    let counts = figures.counts;
    let seconds = Duration::from_millis(figures.length_ms).as_secs_f64();
    let per_second = |count: u64| rounded(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds);
    PerformanceFigures {
        at: figures.at,
        requests: counts.requests,
        errors: counts.errors,
        requests_per_second: per_second(counts.requests),
        request_ms: spread(figures.request),
        submitted: counts.submitted,
        started: counts.started,
        completed: counts.completed,
        retried: counts.retried,
        failed: counts.failed,
        completed_per_second: per_second(counts.completed),
        wait_ms: spread(figures.wait),
        run_ms: spread(figures.run),
    }
}

fn spread(quantiles: Quantiles) -> SpreadView {
    let ms = |micros: Option<u64>| {
        micros.map(|micros| rounded(Duration::from_micros(micros).as_secs_f64() * 1_000.0))
    };
    SpreadView {
        count: quantiles.count,
        p50: ms(quantiles.p50_us),
        p95: ms(quantiles.p95_us),
        p99: ms(quantiles.p99_us),
        max: ms(quantiles.max_us),
    }
}

/// To thousandths.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
