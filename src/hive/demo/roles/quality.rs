//! quality: a checksum of each file, and figures that show when somebody was careless.

use std::fmt::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::Job;
use crate::demo::shipped::PAPERS;

/// A check of each file of the office.
pub fn jobs() -> Vec<Job> {
    PAPERS.iter().map(|(path, text)| job(path, text)).collect()
}

fn job(path: &str, text: &str) -> Job {
    Job {
        title: format!("Check {path}"),
        prompt: path.to_owned(),
        expected: json!({
            "file": path,
            "sha256": sha256(text),
            "lines": text.lines().count(),
            "widest": text.lines().map(str::len).max().unwrap_or(0),
            "blank": text.lines().filter(|line| line.is_empty()).count(),
            "untidy": text.lines().filter(|line| line.ends_with([' ', '\t'])).count(),
        }),
        stumbles: false,
    }
}

fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // writing into a string cannot fail
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
