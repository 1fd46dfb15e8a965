//! Whole numbers, for `#[serde(deserialize_with = "…")]`: `3`, and `3.0` and `3e0` too, which are the same number to
//! JSON Schema and to languages that have only one kind of numbers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Above this a float does not tell every whole number from its neighbours.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads one.
pub(crate) fn read<'de, T: TryFrom<u64>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_u64(Whole(PhantomData))
}

/// Reads one, or `null`.
pub(crate) fn option<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    Ok(Option::<Number<T>>::deserialize(deserializer)?.map(|Number(number)| number))
}

struct Number<T>(T);

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(Self)
    }
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("u64")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        let is_whole = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
        // A whole float is written as its digits, and nothing converts it without loss but those.
        let read = is_whole.then(|| number.abs().to_string().parse().ok()).flatten();
        match read {
            Some(number) => self.visit_u64(number),
            None => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Asked {
        #[serde(deserialize_with = "read")]
        one: u32,
        #[serde(deserialize_with = "option")]
        two: Option<u64>,
    }

    fn asked(json: &str) -> Result<(u32, Option<u64>), serde_json::Error> {
        serde_json::from_str::<Asked>(json).map(|asked| (asked.one, asked.two))
    }

    #[test]
    fn a_whole_number_may_be_written_in_every_way_that_json_has() {
        assert_eq!(asked(r#"{"one": 3, "two": 4.0}"#).unwrap(), (3, Some(4)));
        assert_eq!(asked(r#"{"one": 3e2, "two": null}"#).unwrap(), (300, None));
        assert_eq!(asked(r#"{"one": -0.0, "two": 9007199254740992.0}"#).unwrap(), (0, Some(1 << 53)));
        assert_eq!(asked("{}").unwrap(), (0, None));
    }

    #[test]
    fn what_is_no_whole_number_or_does_not_fit_is_refused() {
        for bad in
            ["3.5", "-1", "-1.0", "1e300", "4294967296", "4294967296.0", "\"3\"", "true", "[3]", "null"]
        {
            assert!(asked(&format!(r#"{{"one": {bad}}}"#)).is_err(), "{bad}");
        }
        let error = asked(r#"{"one": 3.5}"#).unwrap_err().to_string();
        assert!(error.contains(", expected u64"), "{error}");
    }
}
