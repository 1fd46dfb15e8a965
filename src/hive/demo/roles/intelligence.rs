//! intelligence: what a text is about, as far as counting goes.

use std::collections::BTreeMap;

use serde_json::json;

use super::Job;
use crate::demo::shipped::PAPERS;

/// Figures of each text, the handbook and the plans.
pub fn jobs() -> Vec<Job> {
    PAPERS
        .iter()
        .rev()
        .filter(|(path, _)| !path.ends_with(".csv"))
        .map(|(path, text)| job(path, text))
        .collect()
}

fn job(path: &str, text: &str) -> Job {
    let words: Vec<String> = text
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in &words {
        *counts.entry(word).or_default() += 1;
    }
    // the map is in alphabetical order, and the first of equals wins
    let first_largest = |size: fn((&str, usize)) -> usize| {
        let most = counts.iter().map(|(word, count)| size((word, *count))).max();
        counts.iter().find(|(word, count)| Some(size((word, **count))) == most).map_or("", |(word, _)| word)
    };
    Job {
        title: format!("Count the words of {path}"),
        prompt: path.to_owned(),
        expected: json!({
            "file": path,
            "lines": text.lines().count(),
            "words": words.len(),
            "different_words": counts.len(),
            "most_often": first_largest(|(_, count)| count),
            "longest": first_largest(|(word, _)| word.len()),
        }),
        stumbles: false,
    }
}
