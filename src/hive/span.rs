//! Spans of time as people write and read them: `42m30s`.

use std::time::Duration;

/// Units, longest first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A span of whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its length.
    pub ms: u64,
}

/// Why a text is not a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASpan {
    /// Anything but numbers with units.
    #[error("must be like 42m30s, 500ms or 2d: whole numbers, each with its unit (w d h m s ms)")]
    Form,
    /// A number without a unit.
    #[error("needs a unit after {0}, like {0}s or {0}m")]
    NoUnit(u64),
    /// A unit twice, or a longer one after a shorter one.
    #[error("must name each unit once, the longest first, like 1h30m")]
    Order,
    /// More than fits.
    #[error("is longer than any task can wait")]
    TooLong,
}

impl std::str::FromStr for Span {
    type Err = NotASpan;

    /// Reads the whole text or refuses it: `42m30` and `42m 30s` are mistakes, not 42 minutes.
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        if text.is_empty() {
            return Err(NotASpan::Form);
        }
        let (mut rest, mut ms, mut next_unit) = (text, 0_u64, 0);
        while !rest.is_empty() {
            let (number, after) = split(rest, |letter| letter.is_ascii_digit());
            let number: u64 = match number {
                "" => return Err(NotASpan::Form),
                digits => digits.parse().map_err(|_| NotASpan::TooLong)?,
            };
            let (unit, after) = split(after, |letter| letter.is_ascii_alphabetic());
            if unit.is_empty() {
                return Err(if after.is_empty() { NotASpan::NoUnit(number) } else { NotASpan::Form });
            }
            let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or(NotASpan::Form)?;
            if place < next_unit {
                return Err(NotASpan::Order);
            }
            next_unit = place + 1;
            let unit_ms = UNITS.get(place).map_or(0, |(_, unit_ms)| *unit_ms);
            ms =
                number.checked_mul(unit_ms).and_then(|part| ms.checked_add(part)).ok_or(NotASpan::TooLong)?;
            rest = after;
        }
        Ok(Self { ms })
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.ms)
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

/// A span in the two units that matter, like `3 s`, `5 min 12 s` or `2 d 4 h`.
#[must_use]
pub fn in_words(span: Duration) -> String {
    let s = span.as_secs();
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    };
    match s {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{s} s"),
        60..3_600 => two(s / 60, "min", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_whole() {
        let read = |text: &str| text.parse::<Span>().map(|span| span.ms);
        assert_eq!(read("42m30s"), Ok(2_550_000));
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("1w2d3h4m5s6ms"), Ok(788_645_006));
        assert_eq!(read("0s"), Ok(0));
        assert_eq!(read("90m"), Ok(5_400_000));
    }

    #[test]
    fn garbage_a_missing_unit_and_a_wrong_order_are_refused_with_a_reason() {
        let refused = |text: &str| text.parse::<Span>().unwrap_err();
        for text in ["", "m", "42m30sx", "42m 30s", "-5s", "1.5h", "10M", "10min", " 5s", "5s ", "٣s", "5s,"]
        {
            assert_eq!(refused(text), NotASpan::Form, "{text:?}");
        }
        assert_eq!(refused("42m30"), NotASpan::NoUnit(30));
        assert_eq!(refused("30"), NotASpan::NoUnit(30));
        assert_eq!(refused("5s5s"), NotASpan::Order);
        assert_eq!(refused("5s1h"), NotASpan::Order);
        assert_eq!(refused("99999999999999999999s"), NotASpan::TooLong);
        assert_eq!(refused("9999999999999999999w"), NotASpan::TooLong);
    }

    #[test]
    fn words_name_the_two_units_that_matter() {
        let words = |ms| in_words(Duration::from_millis(ms));
        assert_eq!(words(250), "250 ms");
        assert_eq!(words(3_900), "3 s");
        assert_eq!(words(312_000), "5 min 12 s");
        assert_eq!(words(7_200_000), "2 h");
        assert_eq!(words(187_200_000), "2 d 4 h");
    }
}
