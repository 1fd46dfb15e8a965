//! How single values read: moments, counts, text of strangers.

use std::time::Duration;

use domain::Timestamp;
use protocol::ProblemDetails;

use crate::span;

/// A moment as people say it, seen from `now`: `3 s ago`, `in 5 min`.
#[must_use]
pub fn relative(now: Timestamp, at: Timestamp) -> String {
    let round = |ms: u64| {
        let s = ms / 1_000;
        // the largest unit is enough here: nobody counts the seconds of yesterday
        match s {
            0..60 => format!("{s} s"),
            60..3_600 => format!("{} min", s / 60),
            3_600..86_400 => format!("{} h", s / 3_600),
            _ => format!("{} d", s / 86_400),
        }
    };
    if at > now {
        format!("in {}", round(at.ms_since(now)))
    } else {
        format!("{} ago", round(now.ms_since(at)))
    }
}

/// The present moment by the wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A count with its thousands set apart: `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A span in milliseconds, in words.
#[must_use]
pub fn span_ms(ms: u64) -> String {
    span::in_words(Duration::from_millis(ms))
}

/// Text of strangers, safe for a terminal and on one line: control characters and those that turn the direction
/// of writing are shown, not obeyed.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_unsafe(letter) { safe.extend(letter.escape_default()) } else { safe.push(letter) }
    }
    safe
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why one of many was refused, on one line.
#[must_use]
pub fn refusal(problem: Option<&ProblemDetails>) -> String {
    let Some(problem) = problem else { return "refused without a reason".to_owned() };
    let fields = problem.errors.iter().map(|error| format!("; {}: {}", error.field, error.message));
    one_line(&format!("{}{}", problem.detail, fields.collect::<String>()))
}

/// JSON on one line: drops the white space between its parts and touches nothing else.
#[must_use]
pub fn compact(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let (mut is_string, mut is_escaped) = (false, false);
    for letter in json.chars() {
        if is_string || !letter.is_ascii_whitespace() {
            shown.push(letter);
        }
        let ends = letter == '"' && !is_escaped;
        is_escaped = is_string && letter == '\\' && !is_escaped;
        is_string ^= ends;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_their_largest_unit_before_and_after_now() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        assert_eq!(relative(now, now), "0 s ago");
        assert_eq!(relative(now, now.minus_ms(59_999)), "59 s ago");
        assert_eq!(relative(now, now.minus_ms(7_300_000)), "2 h ago");
        assert_eq!(relative(now, now.plus_ms(300_000)), "in 5 min");
        assert_eq!(relative(now, now.minus_ms(200_000_000)), "2 d ago");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([counted(1, "task"), counted(42, "task")], ["1 task", "42 tasks"]);
    }

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31m\nb\u{202e}c ä"), "a\\u{1b}[31m\\nb\\u{202e}c ä");
    }

    #[test]
    fn compact_json_keeps_what_stands_in_strings_and_how_numbers_are_written() {
        assert_eq!(compact("{ \"a b\" : [1.50,\n \"\\\" x\"] }\n"), "{\"a b\":[1.50,\"\\\" x\"]}");
        assert_eq!(compact("\"\\\\\" "), "\"\\\\\"");
    }
}
