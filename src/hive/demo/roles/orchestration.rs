//! orchestration: which steps of a plan can be done at the same time, round by round.

use std::collections::{BTreeMap, BTreeSet};

use super::{Job, text_result};
use crate::demo::shipped::PAPERS;

/// The rounds of each plan.
pub fn jobs() -> Vec<Job> {
    PAPERS.iter().filter(|(path, _)| path.starts_with("plans/")).map(|(path, text)| job(path, text)).collect()
}

fn job(path: &str, text: &str) -> Job {
    Job {
        title: format!("Rounds of {path}"),
        prompt: path.to_owned(),
        expected: text_result(&rounds(text)),
        stumbles: false,
    }
}

/// Takes what needs nothing that is still open, round after round, until nothing can be taken.
fn rounds(text: &str) -> String {
    let steps = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'));
    let mut open: BTreeMap<&str, BTreeSet<&str>> =
        steps.map(|(step, needs)| (step, needs.split_whitespace().collect())).collect();
    let mut lines = Vec::new();
    loop {
        let ready: Vec<&str> = open
            .iter()
            .filter(|(_, needs)| needs.iter().all(|step| !open.contains_key(step)))
            .map(|(step, _)| *step)
            .collect();
        if ready.is_empty() {
            return lines.join("\n");
        }
        open.retain(|step, _| !ready.contains(step));
        lines.push(format!("{}: {}", lines.len() + 1, ready.join(" ")));
    }
}
