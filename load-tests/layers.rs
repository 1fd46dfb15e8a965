//! Where the time of a task goes: what the hive measured of its own writer, over all tasks of a run.
//!
//! The writer is one thread, so these times follow one another: together they are what a task costs there. What it does to
//! its log between two batches stands beside them.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::server::Server;

/// Parts of the writer's time that belong to no batch.
const BETWEEN_BATCHES: [&str; 2] = ["restart", "truncate"];

/// One layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Layer {
    /// Which.
    pub layer: String,
    /// Its share in one task, on average.
    pub micros_per_task: f64,
}

impl Layer {
    /// Whether it is a word about the others, with their sum, in parentheses.
    pub fn is_note(&self) -> bool {
        self.layer.starts_with('(')
    }
}

/// What each part of the writer took, over so many tasks since the hive began.
pub async fn of(server: &Server, tasks: u64) -> Result<Vec<Layer>> {
    Ok(read(&server.metrics().await?, tasks))
}

fn read(text: &str, tasks: u64) -> Vec<Layer> {
    let per_task =
        |seconds: f64| seconds * 1_000_000.0 / f64::from(u32::try_from(tasks.max(1)).unwrap_or(u32::MAX));
    let mut layers = Vec::new();
    let mut parts = 0.0;
    for (labels, seconds) in sums(text, "hive_writer_statement_seconds_sum") {
        let kind = labels.split('"').nth(1).unwrap_or(labels);
        if !BETWEEN_BATCHES.contains(&kind) {
            parts += seconds;
        }
        layers.push(Layer { layer: format!("writer, {kind}"), micros_per_task: per_task(seconds) });
    }
    let all: f64 = sums(text, "hive_writer_commit_seconds_sum").map(|(_, seconds)| seconds).sum();
    layers.push(Layer {
        layer: "writer, between its statements".to_owned(),
        micros_per_task: per_task(all - parts),
    });
    let batches: f64 = sums(text, "hive_writer_commit_seconds_count").map(|(_, count)| count).sum();
    let share = f64::from(u32::try_from(tasks).unwrap_or(u32::MAX)) / batches.max(1.0);
    layers.push(Layer { layer: format!("(a batch has {share:.1} tasks)"), micros_per_task: per_task(all) });
    layers
}

/// The values of a metric, each with its labels.
fn sums<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        Some((labels, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_writer_does_between_two_batches_is_not_taken_from_their_time() {
        let text = "hive_writer_statement_seconds_sum{kind=\"apply\"} 2\n\
                    hive_writer_statement_seconds_sum{kind=\"commit\"} 5\n\
                    hive_writer_statement_seconds_sum{kind=\"restart\"} 4\n\
                    hive_writer_commit_seconds_sum 8\n\
                    hive_writer_commit_seconds_count 500000\n";
        let layers = read(text, 1_000_000);
        let told: Vec<_> =
            layers.iter().map(|layer| (layer.layer.as_str(), layer.micros_per_task.round())).collect();
        let expected = [
            ("writer, apply", 2.0),
            ("writer, commit", 5.0),
            ("writer, restart", 4.0),
            ("writer, between its statements", 1.0),
            ("(a batch has 2.0 tasks)", 8.0),
        ];
        assert_eq!(told, expected);
    }
}
