//! Hides the values of secrets in text, also where they overlap or come in parts.

use std::fmt;

use domain::Secret;

/// Shortest value that is hidden, in bytes: shorter ones are words like `true`, and without them no text is readable.
const VALUE_BYTES_MIN: usize = 6;
/// What stands in place of a value.
const MASK: &str = "***";

/// Replaces values of secrets by `***`. Also the values as they stand in JSON, where that differs.
pub(crate) struct Mask {
    values: Vec<String>,
    /// Which bytes a value begins with.
    is_first: [bool; 256],
    longest: usize,
}

/// Which values there may be at a place.
struct Seen {
    /// How long the longest one is that is there; 0: none.
    length: usize,
    /// Whether the text ends within one.
    may_grow: bool,
}

impl Mask {
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        Self::of(secrets.iter().map(|secret| secret.reveal().to_owned()))
    }

    /// For text in which something may stand before each line, and any line may be missing, as in a diff: also hides each
    /// line of a value of several lines on its own.
    pub(crate) fn by_lines(secrets: &[Secret]) -> Self {
        let values = secrets.iter().map(Secret::reveal);
        let lines = values.clone().flat_map(str::lines).map(str::trim);
        Self::of(values.chain(lines).map(str::to_owned))
    }

    fn of(plain: impl Iterator<Item = String>) -> Self {
        let mut values: Vec<String> =
            plain.filter(|value| value.len() >= VALUE_BYTES_MIN).flat_map(spellings).collect();
        values.sort_unstable();
        values.dedup();
        let mut is_first = [false; 256];
        for first in values.iter().filter_map(|value| value.bytes().next()) {
            if let Some(flag) = is_first.get_mut(usize::from(first)) {
                *flag = true;
            }
        }
        let longest = values.iter().map(String::len).max().unwrap_or_default();
        Self { values, is_first, longest }
    }

    /// How long the longest value is, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// All of a text, masked.
    pub(crate) fn all_of(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        self.pass(text, &mut 0, true, &mut masked);
        masked
    }

    /// The beginning of a text whose end is missing, masked: without an end that may be the beginning of a value.
    pub(crate) fn beginning_of(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        self.pass(text, &mut 0, false, &mut masked);
        masked
    }

    /// The end of a text whose beginning is missing, masked: without a beginning that may be the end of a value. Also
    /// says how many bytes that is.
    pub(crate) fn end_of(&self, text: &str) -> (String, usize) {
        let mut covered = self.longest.saturating_sub(1);
        let hidden = text.ceil_char_boundary(covered);
        let mut masked = String::with_capacity(text.len());
        self.pass(text, &mut covered, true, &mut masked);
        (masked, hidden)
    }

    /// Appends to `masked` what is certain of `text`, and says how many bytes that is: unless it `is_last`, the
    /// beginning of a value at its end is not.
    ///
    /// `covered` goes from one pass to the next: how many bytes at the beginning of what comes belong to a value that
    /// was masked already. Values that overlap become one mask, so the places of masks do not depend on where a pass begins.
    pub(crate) fn pass(&self, text: &str, covered: &mut usize, is_last: bool, masked: &mut String) -> usize {
        let mut plain = text.ceil_char_boundary(*covered);
        let mut at = 0;
        let mut certain = text.len();
        while let Some(rest) = self.next_first(text, &mut at) {
            let seen = self.look(rest);
            if seen.may_grow && !is_last {
                certain = at;
                break;
            }
            if seen.length > 0 {
                if at >= *covered {
                    masked.push_str(text.get(plain..at).unwrap_or_default());
                    masked.push_str(MASK);
                }
                *covered = (*covered).max(at + seen.length);
                plain = plain.max(*covered);
            }
            at += 1;
        }
        masked.push_str(text.get(plain..certain).unwrap_or_default());
        *covered = covered.saturating_sub(certain);
        certain
    }

    /// Moves `at` to the next byte that a value begins with, and gives the text from there.
    fn next_first<'text>(&self, text: &'text str, at: &mut usize) -> Option<&'text [u8]> {
        if self.values.is_empty() {
            return None;
        }
        let rest = text.as_bytes().get(*at..)?;
        let skipped = rest.iter().position(|byte| self.is_first.get(usize::from(*byte)) == Some(&true))?;
        *at += skipped;
        rest.get(skipped..)
    }

    fn look(&self, rest: &[u8]) -> Seen {
        let mut seen = Seen { length: 0, may_grow: false };
        for value in &self.values {
            if rest.starts_with(value.as_bytes()) {
                seen.length = seen.length.max(value.len());
            } else if value.as_bytes().starts_with(rest) {
                seen.may_grow = true;
            }
        }
        seen
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

/// The value, and how it stands in JSON: agents print JSON.
fn spellings(value: String) -> impl Iterator<Item = String> {
    let quoted = serde_json::Value::from(value.as_str()).to_string();
    let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let escaped = escaped.filter(|escaped| *escaped != value).map(str::to_owned);
    std::iter::once(value).chain(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(values: &[&str]) -> Mask {
        let secrets: Vec<Secret> = values.iter().map(|value| Secret::new(*value)).collect();
        Mask::new(&secrets)
    }

    #[test]
    fn values_of_at_least_six_bytes_are_hidden_and_shorter_ones_are_not() {
        assert_eq!(
            mask(&["hunter", "true"]).all_of("it is true, hunter hunterhunter"),
            "it is true, *** ******"
        );
    }

    #[test]
    fn values_that_overlap_are_hidden_as_one() {
        assert_eq!(mask(&["abcdefgh", "efghijkl"]).all_of("-abcdefghijkl-"), "-***-");
        assert_eq!(mask(&["abcdef", "abcdefghi"]).all_of("abcdefghi abcdefgh"), "*** ***gh");
        assert_eq!(mask(&["xyxyxy"]).all_of("xyxyxyxyx"), "***x");
    }

    #[test]
    fn a_value_is_also_hidden_as_json_spells_it() {
        assert_eq!(mask(&["line 1\n\"2\""]).all_of(r#"{"key":"line 1\n\"2\""}"#), r#"{"key":"***"}"#);
    }

    #[test]
    fn each_line_of_a_value_is_hidden_where_something_stands_before_it() {
        let key = "-----BEGIN-----\n  bWlkZGxl\nZW5k\n";
        let diff = "+key: -----BEGIN-----\n+  bWlkZGxl\n+ZW5k\n-bWlkZGxl\n";
        let by_lines = Mask::by_lines(&[Secret::new(key)]);
        assert_eq!(by_lines.all_of(diff), "+key: ***\n+  ***\n+ZW5k\n-***\n");
        assert_eq!(by_lines.all_of(key), "***");
    }

    #[test]
    fn nothing_of_a_value_shows_where_a_text_is_cut_within_it() {
        let mask = mask(&["hunter2hunter"]);
        assert_eq!(mask.beginning_of("it is hunter2hun"), "it is ");
        assert_eq!(mask.end_of("unter2hunter, it is"), (", it is".to_owned(), 12));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", mask(&["hunter2"])).contains("hunter2"));
    }
}
