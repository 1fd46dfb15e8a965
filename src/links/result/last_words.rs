//! What a process printed last, for messages that people read.

use crate::output::decode;
use crate::output::mask::Mask;
use crate::output::ring::Ring;

/// How much of the end of each stream is kept, in bytes: some lines, as a person would look at first.
const LAST_WORDS_BYTES_MAX: usize = 2 * 1024;

/// What a process printed last, masked.
pub(super) struct LastWords {
    stdout: String,
    stderr: String,
}

impl LastWords {
    pub(super) fn new(stdout: Ring, stderr: Ring, mask: &Mask) -> Self {
        Self { stdout: last_lines(stdout, mask), stderr: last_lines(stderr, mask) }
    }

    pub(super) fn stdout(&self) -> &str {
        &self.stdout
    }

    pub(super) fn stderr(&self) -> &str {
        &self.stderr
    }

    /// What people should read: programs complain on standard error, but not all.
    pub(super) fn complaint(&self) -> &str {
        if self.stderr.is_empty() { &self.stdout } else { &self.stderr }
    }
}

/// Holds the end of a stream: beside what is told, as much as the end of a value may take that must not be seen.
pub(super) fn ring(mask: &Mask) -> Ring {
    Ring::new(LAST_WORDS_BYTES_MAX.saturating_add(mask.longest()))
}

/// Whole lines, if there are any.
fn last_lines(ring: Ring, mask: &Mask) -> String {
    let is_cut = ring.dropped() > 0;
    let bytes = ring.into_bytes();
    let text = if is_cut {
        mask.end_of(&legible(&decode::lossy_end(&bytes))).0
    } else {
        mask.all_of(&legible(&decode::lossy(&bytes)))
    };
    let start = text.ceil_char_boundary(text.len().saturating_sub(LAST_WORDS_BYTES_MAX));
    let text = text.get(start..).unwrap_or_default().trim_end();
    let is_whole = !is_cut && start == 0;
    let lines = if is_whole { None } else { text.split_once('\n') };
    lines.map_or(text, |(_, whole)| whole).trim().to_owned()
}

/// The text without what only terminals understand: colors, movements of the cursor, other control characters.
pub(super) fn legible(text: &str) -> String {
    let mut legible = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1B}' => skip_sequence(&mut letters),
            '\n' | '\t' => legible.push(letter),
            letter if letter.is_control() => {}
            letter => legible.push(letter),
        }
    }
    legible
}

/// Skips what follows an escape: `[` up to a letter, `]` up to the bell or a line end, else one character.
fn skip_sequence(letters: &mut std::str::Chars<'_>) {
    let is_end = match letters.next() {
        Some('[') => |letter: char| ('@'..='~').contains(&letter),
        Some(']') => |letter: char| matches!(letter, '\u{7}' | '\\' | '\n'),
        _ => return,
    };
    let _ = letters.by_ref().find(|letter| is_end(*letter));
}

#[cfg(test)]
mod tests {
    use domain::Secret;

    use super::*;

    fn last_of(stderr: &str, secrets: &[Secret]) -> String {
        let mask = Mask::new(secrets);
        let mut ring = ring(&mask);
        ring.push(stderr.as_bytes());
        last_lines(ring, &mask)
    }

    #[test]
    fn only_whole_lines_of_a_long_complaint_are_told() {
        let lines: Vec<String> = (0..1_000).map(|n| format!("line {n}")).collect();
        let last = last_of(&lines.join("\n"), &[]);
        assert!(last.len() <= LAST_WORDS_BYTES_MAX && last.ends_with("line 998\nline 999"), "{last}");
        assert!(last.lines().all(|line| lines.iter().any(|whole| whole == line)), "{last}");
        let endless = last_of(&"ä".repeat(5_000), &[]);
        assert_eq!(endless, "ä".repeat(LAST_WORDS_BYTES_MAX / 2), "one endless line is better than nothing");
    }

    #[test]
    fn a_secret_longer_than_what_is_told_hides_no_more_than_itself() {
        let key = "the key ".repeat(LAST_WORDS_BYTES_MAX);
        let last = |stderr: &str| last_of(stderr, &[Secret::new(&key)]);
        let lines: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
        assert!(last(&lines).ends_with("line 4998\nline 4999"));
        assert!((LAST_WORDS_BYTES_MAX - 20..=LAST_WORDS_BYTES_MAX).contains(&last(&lines).len()));
        assert_eq!(last(&format!("{lines}{key}\nno such key\n")), "no such key");
    }

    #[test]
    fn colors_of_a_terminal_are_left_out_and_do_not_hide_a_secret() {
        let said =
            "\u{1B}[91m\u{1B}[1mError:\u{8} \u{1B}[0minvalid key hun\u{1B}[0mter2\u{1B}]0;title\u{7}\r\n";
        assert_eq!(last_of(said, &[Secret::new("hunter2")]), "Error: invalid key ***");
    }

    #[test]
    fn standard_output_is_told_only_where_there_is_nothing_on_standard_error() {
        let words = |stdout: &str, stderr: &str| {
            LastWords { stdout: stdout.to_owned(), stderr: stderr.to_owned() }.complaint().to_owned()
        };
        assert_eq!((words("out", "err"), words("out", "")), ("err".to_owned(), "out".to_owned()));
    }
}
