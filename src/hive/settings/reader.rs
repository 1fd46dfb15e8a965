//! Reads typed values out of the entries of all sources, and collects everything that is wrong with them.
//!
//! Invariant: every value of every source is checked, also one that a stronger source overrides, so that one run
//! tells all.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::source::{Entry, Problem, Raw, Source};

/// Reads settings key by key; what nobody asked for in the end is unknown.
pub struct Reader {
    /// Weakest source first.
    entries: Vec<Entry>,
    asked: BTreeSet<&'static str>,
    problems: Vec<Problem>,
    shown: Vec<Shown>,
}

/// A setting as `hive config show` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its key.
    pub key: &'static str,
    /// Its value, as TOML writes it.
    pub value: String,
    /// The source that won.
    pub source: Source,
    /// What values it may have, as in "must be …".
    pub allowed: String,
    /// Whether it is a number; else it is text.
    pub is_number: bool,
}

impl Reader {
    /// Over the entries of all sources, weakest source first, with what went wrong while they were read.
    #[must_use]
    pub const fn new(entries: Vec<Entry>, problems: Vec<Problem>) -> Self {
        Self { entries, asked: BTreeSet::new(), problems, shown: Vec::new() }
    }

    /// A whole number within `allowed`.
    pub fn whole(&mut self, key: &'static str, allowed: RangeInclusive<u64>) -> u64 {
        let words = format!("must be a whole number from {} to {}", allowed.start(), allowed.end());
        let accept = |raw: &Raw| {
            let number = match raw {
                Raw::Whole(number) => u64::try_from(*number).ok(),
                Raw::EnvText(text) => text.parse().ok(),
                Raw::Text(_) | Raw::Other(_) => None,
            };
            number.filter(|number| allowed.contains(number))
        };
        self.read(key, (&words, true), accept, Raw::to_string).unwrap_or_default()
    }

    /// As [`Reader::whole`], for what is counted in memory.
    pub fn count(&mut self, key: &'static str, allowed: RangeInclusive<u64>) -> usize {
        usize::try_from(self.whole(key, allowed)).unwrap_or(usize::MAX)
    }

    /// Text that `accept` turns into a value; `words` say what is allowed, as in "must be …".
    pub fn text<T: Default>(
        &mut self,
        key: &'static str,
        words: &str,
        accept: impl Fn(&str) -> Option<T>,
    ) -> T {
        let accept = |raw: &Raw| match raw {
            Raw::Text(text) | Raw::EnvText(text) => accept(text),
            Raw::Whole(_) | Raw::Other(_) => None,
        };
        self.read(key, (words, false), accept, Raw::to_string).unwrap_or_default()
    }

    /// As [`Reader::text`], for text of which a part is a secret; `masked` is what may be shown of it.
    pub fn secret_text<T: Default>(
        &mut self,
        key: &'static str,
        words: &str,
        accept: impl Fn(&str) -> Option<T>,
        masked: impl Fn(&str) -> String,
    ) -> T {
        let accept = |raw: &Raw| match raw {
            Raw::Text(text) | Raw::EnvText(text) => accept(text),
            Raw::Whole(_) | Raw::Other(_) => None,
        };
        let shown = |raw: &Raw| match raw {
            Raw::Text(text) | Raw::EnvText(text) => Raw::Text(masked(text)).to_string(),
            Raw::Whole(_) | Raw::Other(_) => raw.to_string(),
        };
        self.read(key, (words, false), accept, shown).unwrap_or_default()
    }

    /// Ends the reading: what was read, or every problem there is.
    ///
    /// # Errors
    /// All problems, unknown keys among them.
    pub fn finish(mut self) -> Result<Vec<Shown>, Vec<Problem>> {
        for entry in &self.entries {
            if !self.asked.contains(entry.key.as_str()) {
                let message = unknown(&entry.key, &self.asked);
                self.problems.push(Problem { source: entry.source.clone(), message });
            }
        }
        if self.problems.is_empty() { Ok(self.shown) } else { Err(self.problems) }
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        (words, is_number): (&str, bool),
        accept: impl Fn(&Raw) -> Option<T>,
        shown: impl Fn(&Raw) -> String,
    ) -> Option<T> {
        self.asked.insert(key);
        let mut strongest = None;
        for entry in self.entries.iter().filter(|entry| entry.key == key) {
            match accept(&entry.raw) {
                Some(value) => strongest = Some((value, entry)),
                None => self.problems.push(Problem {
                    source: entry.source.clone(),
                    message: format!("{key} = {} {words}", shown(&entry.raw)),
                }),
            }
        }
        let (value, entry) = strongest?;
        let value_shown = match &entry.raw {
            // a number from the environment is a number all the same
            Raw::EnvText(text) if text.parse::<u64>().is_ok() => text.clone(),
            raw => shown(raw),
        };
        let allowed = words.strip_prefix("must be ").unwrap_or(words).to_owned();
        self.shown.push(Shown { key, value: value_shown, source: entry.source.clone(), allowed, is_number });
        Some(value)
    }
}

/// Never shows the value: what nobody knows may be a secret.
fn unknown(key: &str, known: &BTreeSet<&'static str>) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(key, candidate), candidate))
        .min()
        .filter(|(steps, _)| *steps <= 3);
    match nearest {
        Some((_, candidate)) => format!("unknown key {key}; did you mean {candidate}?"),
        None => format!("unknown key {key}; `hive config show --default` lists every key"),
    }
}

/// Levenshtein distance: how many letters to add, drop or change. Source: Levenshtein 1966, the two-row form.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for (place, (candidate, pair)) in other.iter().zip(row.windows(2)).enumerate() {
            let &[diagonal, above] = pair else { continue };
            let left = next.get(place).copied().unwrap_or(usize::MAX);
            let changed = diagonal + usize::from(*candidate != letter);
            next.push(changed.min(above + 1).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters_to_change() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("server.bind", "server.bind"), 0);
    }
}
