//! Results in words, as JSON that fits the limit.

use domain::Usage;
use serde::Serialize;

use crate::output::marker;
use crate::output::mask::Mask;
use crate::result::Failure;

/// Longest session id that is believed, in bytes; they are UUIDs.
const SESSION_ID_BYTES_MAX: usize = 256;
/// Longest marker of a cut in JSON, in bytes: 20 digits, two escaped line ends.
const MARKER_BYTES_MAX: usize = 45;

/// What an agent told in its own stream.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) session_id: Option<String>,
    pub(super) turns: Option<u64>,
    pub(super) duration_ms: Option<u64>,
    pub(super) usage: Option<Usage>,
    /// What it says of its failure.
    pub(super) failure: Option<Failure>,
}

/// A text, perhaps with a gap.
pub(super) struct Words {
    pub(super) head: String,
    pub(super) gap: Option<Gap>,
}

/// What is missing behind the head, and what follows it.
pub(super) struct Gap {
    pub(super) cut_bytes: u64,
    pub(super) tail: String,
}

/// A result in words.
#[derive(Serialize)]
struct Worded<'text> {
    text: &'text str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'text str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
}

impl Answer {
    /// The answer as JSON of at most `bytes_max` bytes, without values of secrets.
    pub(super) fn into_json(self, bytes_max: usize, mask: &Mask) -> String {
        let session_id = self.session_id.map(|id| mask.all_of(&id));
        let frame = Worded {
            text: "",
            session_id: session_id.as_deref().filter(|id| id.len() <= SESSION_ID_BYTES_MAX),
            turns: self.turns,
            duration_ms: self.duration_ms,
            truncated: None,
        };
        frame.filled(Words { head: mask.all_of(&self.text), gap: None }, bytes_max)
    }
}

impl Words {
    /// `{"text": ...}` of at most `bytes_max` bytes, with `"truncated": true` where something is missing.
    pub(super) fn into_json(self, bytes_max: usize) -> String {
        Worded { text: "", session_id: None, turns: None, duration_ms: None, truncated: None }
            .filled(self, bytes_max)
    }

    /// Head, marker and tail in `room` bytes of JSON.
    fn shortened(&self, room: usize) -> String {
        let room = room.saturating_sub(MARKER_BYTES_MAX);
        let (tail, cut_bytes) = match &self.gap {
            Some(gap) => (gap.tail.as_str(), gap.cut_bytes + count(self.head.len() + gap.tail.len())),
            None => (self.head.as_str(), count(self.head.len())),
        };
        let head = beginning_within(&self.head, room / 4 * 3);
        let tail = end_within(tail, room - room / 4 * 3);
        [head, &marker(cut_bytes.saturating_sub(count(head.len() + tail.len()))), tail].concat()
    }
}

impl Worded<'_> {
    fn filled(self, words: Words, bytes_max: usize) -> String {
        if words.gap.is_none() {
            let json = to_json(&Worded { text: &words.head, ..self });
            if json.len() <= bytes_max {
                return json;
            }
        }
        let frame = Worded { truncated: Some(true), ..self };
        let room = bytes_max.saturating_sub(to_json(&frame).len());
        to_json(&Worded { text: &words.shortened(room), ..frame })
    }
}

fn to_json(worded: &Worded<'_>) -> String {
    // Text and numbers always have a JSON form.
    serde_json::to_string(worded).unwrap_or_default()
}

fn beginning_within(text: &str, room: usize) -> &str {
    let fitting = fitting_bytes(text.chars(), room);
    text.get(..fitting).unwrap_or_default()
}

fn end_within(text: &str, room: usize) -> &str {
    let fitting = fitting_bytes(text.chars().rev(), room);
    text.get(text.len() - fitting..).unwrap_or_default()
}

/// How many bytes of text, character by character, fit into `room` bytes of JSON.
fn fitting_bytes(characters: impl Iterator<Item = char>, room: usize) -> usize {
    let mut left = room;
    let mut bytes = 0;
    for character in characters {
        let Some(rest) = left.checked_sub(json_bytes(character)) else { break };
        left = rest;
        bytes += character.len_utf8();
    }
    bytes
}

fn json_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{C}' => 2,
        '\0'..'\u{20}' => 6,
        _ => character.len_utf8(),
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Words {
        Words { head: text.to_owned(), gap: None }
    }

    #[test]
    fn a_text_that_fits_exactly_is_whole_and_one_more_byte_cuts_it() {
        let text = format!("{}\"\n\u{1}", "x".repeat(200));
        let json = whole(&text).into_json(221);
        assert_eq!((json.len(), json.contains("truncated")), (221, false), "{json}");
        let json = whole(&text).into_json(220);
        assert!(json.len() <= 220 && json.ends_with("\"truncated\":true}"), "{json}");
        assert!(json.contains("bytes cut") && json.contains("x\\\"\\n\\u0001\""), "head and tail: {json}");
    }

    #[test]
    fn characters_are_counted_as_json_writes_them() {
        for text in ["\u{1}", "\n", "\"\\", "\u{7F}ä", "😀"] {
            let json = whole(&text.repeat(500)).into_json(400);
            assert!((370..=400).contains(&json.len()), "{} bytes: {json}", json.len());
        }
    }

    #[test]
    fn what_is_missing_is_counted() {
        let tail = "z".repeat(300);
        let json = Words { head: "a".repeat(300), gap: Some(Gap { cut_bytes: 1_000, tail }) }.into_json(200);
        let kept = json.split("\"").nth(3).unwrap().split("\\n");
        let lengths: Vec<usize> = kept.clone().map(str::len).collect();
        let cut = format!("[... {} bytes cut ...]", 1_600 - lengths[0] - lengths[2]);
        assert_eq!(kept.collect::<Vec<_>>()[1], cut);
        assert!(json.len() <= 200 && lengths[0] > lengths[2] && lengths[2] > 25, "{json}");
    }
}
