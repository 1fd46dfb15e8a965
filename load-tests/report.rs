//! What is told of a measurement.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::layers::Layer;

/// Quantiles of the curve of a plot.
const CURVE: [f64; 13] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.999_5, 0.999_9, 1.0];

/// One scenario on one database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Which.
    pub scenario: String,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// What is measured, in a sentence.
    pub about: String,
    /// The day, in UTC.
    pub date: String,
    /// The commit, as `git describe` tells it.
    pub version: String,
    /// The command that was used.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// What was measured.
    pub cases: Vec<Case>,
    /// What the machine, or a part of it, can do at most; measured in the same run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ceilings: Vec<Ceiling>,
}

/// A machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Its processors.
    pub processors: usize,
    /// What they call themselves.
    pub model: String,
    /// Of Linux.
    pub kernel: String,
    /// In MiB.
    pub memory_mib: u64,
}

/// What is measured alike several times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// What is counted.
    pub unit: String,
    /// Each run.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// Units per second that were acknowledged while it was counted.
    pub per_second: f64,
    /// Units that were.
    pub count: u64,
    /// Answers that were refusals (503).
    pub refused: u64,
    /// By what was asked.
    pub latency: BTreeMap<String, Latency>,
    /// Processors that were busy, by whose work.
    pub cpus: BTreeMap<String, f64>,
    /// Memory of the server at the end, in MiB.
    pub rss_mib: f64,
    /// Tasks that were found as they were acknowledged, over the API, when it was over.
    pub compared: u64,
    /// Where the time of a task went, as the hive's own metrics tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// Other figures, with their units in their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
}

/// Times, in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latency {
    /// How many there are.
    pub count: u64,
    /// The middle one.
    pub p50_ms: f64,
    /// 95 of 100 are at most this.
    pub p95_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Quantiles and their times, for a plot.
    pub curve: Vec<(f64, f64)>,
}

/// What something simpler does on the same machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ceiling {
    /// What.
    pub name: String,
    /// Of what it is so many per second.
    pub unit: String,
    /// Each run.
    pub runs: Vec<f64>,
    /// The cases that it stands above.
    pub above: Vec<String>,
}

impl Machine {
    /// This one.
    pub fn here() -> Result<Self> {
        let field = |file: &str, name: &str| {
            let text = std::fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal").context("MemTotal")?;
        let kib: u64 = memory.split(' ').next().context("a number")?.parse()?;
        Ok(Self {
            processors: std::thread::available_parallelism()?.get(),
            model: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            memory_mib: kib / 1_024,
        })
    }
}

impl Run {
    /// The layers, which follow one another: together they are what a task costs.
    pub fn parts(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !layer.is_note())
    }
}

impl Latency {
    /// Of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at =
            |quantile| Duration::from_micros(histogram.value_at_quantile(quantile)).as_secs_f64() * 1_000.0;
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: at(1.0),
            curve: CURVE.map(|quantile| (quantile, at(quantile))).into(),
        }
    }
}

impl Case {
    /// The run with the median rate.
    pub fn median(&self) -> Option<&Run> {
        let mut sorted: Vec<&Run> = self.runs.iter().collect();
        sorted.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        sorted.get(sorted.len() / 2).copied()
    }

    /// The slowest and the fastest rate.
    pub fn spread(&self) -> (f64, f64) {
        let rates = || self.runs.iter().map(|run| run.per_second);
        (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max))
    }
}

impl Ceiling {
    /// The median.
    pub fn per_second(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}
