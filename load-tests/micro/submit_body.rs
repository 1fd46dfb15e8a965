//! A body of `POST /tasks` is read and checked: a small one, one that says all there is to say, and one with 4 KiB of input.

use std::hint::black_box;

use anyhow::{Result, ensure};
use domain::Limits;
use protocol::{SubmitTask, request};

use crate::Round;

const SMALL: &str =
    r#"{"title":"measure","kind":"measure","input":{"text":"the quick brown fox jumps over the lazy dog"}}"#;

const WHOLE: &str = r#"{
  "title": "Summarize the report", "queue": "reports", "kind": "summary", "priority": 7,
  "input": {"document": "reports/2026/05.pdf", "pages": [1, 2, 3, 5, 8], "tone": "plain", "words_max": 300},
  "requires": ["pdf", "english", "long-context"],
  "labels": {"customer": "acme", "team": "finance", "cost-center": "4711"},
  "delay_ms": 1500, "attempts_max": 5,
  "backoff": {"initial_ms": 500, "factor": 1.5, "max_ms": 60000, "jitter": 0.1},
  "timeouts": {"schedule_to_start_ms": 60000, "start_to_close_ms": 600000, "heartbeat_ms": 30000},
  "unique": {"key": "report-2026-05", "on_conflict": "reject", "ttl_ms": 86400000}
}"#;

pub fn prepare() -> Result<Round> {
    let lines: Vec<String> = (0..64)
        .map(|line| format!(r#"{{"line":{line},"text":"twelve words a line, \"quoted\"\n"}}"#))
        .collect();
    let large = format!(r#"{{"title":"Check each line","input":[{}]}}"#, lines.join(","));
    ensure!((3_500..4_500).contains(&large.len()), "it has {} bytes", large.len());
    let limits = Limits::default();
    Ok(Box::new(move || {
        for body in [SMALL, WHOLE, &large] {
            let asked = request::read::<SubmitTask>(black_box(body).as_bytes(), &limits)?;
            ensure!(black_box(asked).input.is_some(), "it was not read");
        }
        Ok(())
    }))
}
