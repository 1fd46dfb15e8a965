//! The six roles of the demo: what each is good for, how its script is told what to do, and its tasks with the results
//! that they must have.
//!
//! Invariant: expected results are computed here from the embedded files, in Rust, and never by the scripts.

mod documentation;
mod integration;
mod intelligence;
mod orchestration;
mod production;
mod quality;

use domain::{PromptVia, ResultFormat};
use serde_json::Value;

pub use integration::LAST_WORDS;

/// A line of work.
#[derive(Debug)]
pub struct Role {
    /// Its name: the first agent's name, and the capability that its tasks require.
    pub name: &'static str,
    /// The script's name.
    pub script: &'static str,
    /// How the script is told what to do.
    pub prompt: PromptVia,
    /// How its result is read.
    pub result: ResultFormat,
    /// Its different tasks; where more are wanted they are given again.
    pub jobs: fn() -> Vec<Job>,
}

/// A task, and what must come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What people call it.
    pub title: String,
    /// What the script is told.
    pub prompt: String,
    /// The result as the hive must hold it.
    pub expected: Value,
    /// Whether the script kills itself in the first attempt.
    pub stumbles: bool,
}

/// All of them, in the order of the display.
pub const ROLES: [Role; 6] = [
    Role {
        name: "production",
        script: "production.sh",
        prompt: PromptVia::Argument,
        result: ResultFormat::Text,
        jobs: production::jobs,
    },
    Role {
        name: "documentation",
        script: "documentation.sh",
        prompt: PromptVia::Stdin,
        result: ResultFormat::Text,
        jobs: documentation::jobs,
    },
    Role {
        name: "integration",
        script: "integration.sh",
        prompt: PromptVia::Argument,
        result: ResultFormat::JsonLast,
        jobs: integration::jobs,
    },
    Role {
        name: "intelligence",
        script: "intelligence.sh",
        prompt: PromptVia::Stdin,
        result: ResultFormat::JsonLast,
        jobs: intelligence::jobs,
    },
    Role {
        name: "orchestration",
        script: "orchestration.sh",
        prompt: PromptVia::File,
        result: ResultFormat::Text,
        jobs: orchestration::jobs,
    },
    Role {
        name: "quality",
        script: "quality.sh",
        prompt: PromptVia::Argument,
        result: ResultFormat::JsonLast,
        jobs: quality::jobs,
    },
];

/// A result in the form of [`ResultFormat::Text`]: the text without the line break at its end.
fn text_result(text: &str) -> Value {
    serde_json::json!({ "text": text.strip_suffix('\n').unwrap_or(text) })
}

#[cfg(test)]
#[path = "roles_tests.rs"]
mod tests;
