//! Points in time on the wire: RFC 3339, UTC, microseconds, `Z`; for `#[serde(with = "crate::time")]`.

use domain::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serializer, de};

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of RFC 3339, like 2026-01-31T12:00:00Z")]
pub struct NotATime;

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// The wire form, like `2026-01-31T12:00:00.000000Z`. Moments beyond the year 9999 are shown as its end.
#[must_use]
pub fn show(at: Timestamp) -> String {
    let limit = if at.as_micros() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let shown = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(limit);
    PRINTER.timestamp_to_string(&shown)
}

/// Reads RFC 3339 with any offset; what is finer than a microsecond is cut.
///
/// # Errors
/// [`NotATime`] when the text is anything else.
pub fn read(text: &str) -> Result<Timestamp, NotATime> {
    let read: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
    Ok(Timestamp::from_micros(read.as_microsecond()))
}

/// Writes the wire form.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*at))
}

/// Reads the wire form.
///
/// # Errors
/// When it is not a text, or not a time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// The same for times that may be missing: `null`.
pub mod option {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de, read, show};

    /// Writes the wire form, or `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_str(&show(*at)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the wire form, or `null`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| read(&text).map_err(de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_microseconds_and_read_back() {
        let at = Timestamp::from_micros(1_769_860_800_000_000);
        assert_eq!(show(at), "2026-01-31T12:00:00.000000Z");
        assert_eq!(read(&show(at)), Ok(at));
        assert_eq!(read("2026-01-31T13:00:00+01:00"), Ok(at), "any offset is read");
        assert_eq!(show(Timestamp::from_micros(1)), "1970-01-01T00:00:00.000001Z");
        assert_eq!(show(Timestamp::MAX), "9999-12-30T22:00:00.999999Z", "never is the end of the calendar");
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for bad in ["", "now", "2026-01-31", "2026-13-01T00:00:00Z", "2026-01-31T12:00:00", "1769860800"] {
            assert_eq!(read(bad), Err(NotATime), "{bad}");
        }
    }
}
