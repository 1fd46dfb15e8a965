//! How a body is read: strictly, and with every broken rule told at once.
//!
//! The common case is one plain `serde_json` pass. Only when that fails is the body read again, slowly: each
//! offending field is noted and taken out, until what is left can be checked against the rules as well.

use domain::{Limits, Violation, Violations};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use crate::object::Object;

/// Most broken rules that are told of one request.
const VIOLATIONS_MAX: usize = 32;

/// A request body of the contract.
pub trait Request: DeserializeOwned {
    /// What it asks for, in the domain's words.
    type Asked;

    /// Turns what was read into what is asked for.
    ///
    /// # Errors
    /// All broken rules at once.
    fn check(self, limits: &Limits) -> Result<Self::Asked, Violations>;
}

/// Why a body cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not JSON. The text says where, and holds nothing of the body.
    #[error("the body is not well-formed JSON: {0}")]
    Malformed(String),
    /// It has fields that the contract does not know; other broken rules may stand beside them.
    #[error("the request has unknown fields")]
    UnknownField(Violations),
    /// Values are of a wrong type or against the rules.
    #[error("the request is against the rules")]
    InvalidValue(Violations),
}

/// Reads a body and checks it.
///
/// # Errors
/// [`Unreadable`], with every broken rule that can be told at once (32 at most).
pub fn read<R: Request>(body: &[u8], limits: &Limits) -> Result<R::Asked, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|error| Unreadable::Malformed(error.to_string()))?;
    match serde_json::from_str::<Object<R>>(text) {
        Ok(Object(request)) => request.check(limits).map_err(Unreadable::InvalidValue),
        Err(error) => Err(explain::<R>(text, &error, limits)),
    }
}

/// Like [`read`], where an empty body stands for a request that asks for nothing special.
///
/// # Errors
/// As [`read`].
pub fn read_or_default<R: Request + Default>(body: &[u8], limits: &Limits) -> Result<R::Asked, Unreadable> {
    if body.iter().all(u8::is_ascii_whitespace) {
        R::default().check(limits).map_err(Unreadable::InvalidValue)
    } else {
        read::<R>(body, limits)
    }
}

fn explain<R: Request>(text: &str, first: &serde_json::Error, limits: &Limits) -> Unreadable {
    // A wrong type early in a text must not hide that the text is not JSON at all.
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return Unreadable::Malformed(error.to_string());
    }
    let mut found = Found::default();
    if let Ok(mut rest) = serde_json::from_str::<Value>(text) {
        while found.violations.len() < VIOLATIONS_MAX {
            match serde_path_to_error::deserialize::<_, Object<R>>(&rest) {
                Ok(Object(request)) => {
                    if let Err(Violations(broken)) = request.check(limits) {
                        broken.into_iter().for_each(|violation| found.note(violation));
                    }
                    break;
                }
                Err(error) => {
                    found.note_error(&error);
                    if !take_out(&mut rest, error.path()) {
                        break;
                    }
                }
            }
        }
    }
    if found.violations.is_empty() {
        // Read into a tree the text is fine: a field stands twice, or it is nested too deep for a tree.
        let said = first.to_string();
        if said.starts_with("duplicate field") {
            let message = without_place(&said);
            let field = quoted(&message).unwrap_or_default().to_owned();
            found.note(Violation { field, message });
        } else {
            // Never word for word: what serde says of a wrong value repeats the value, which may be a secret.
            found.note(Violation { field: String::new(), message: humane(&said) });
        }
    }
    found.into_unreadable()
}

#[derive(Default)]
struct Found {
    is_unknown_field: bool,
    violations: Vec<Violation>,
}

impl Found {
    /// One violation a field: the first one is the cause of those that follow, there and within it.
    fn note(&mut self, violation: Violation) {
        let is_within = |known: &Violation| {
            let rest = violation.field.strip_prefix(&known.field);
            rest.is_some_and(|rest| {
                rest.is_empty() || (!known.field.is_empty() && rest.starts_with(['.', '[']))
            })
        };
        if !self.violations.iter().any(is_within) {
            self.violations.push(violation);
        }
    }

    fn note_error(&mut self, error: &serde_path_to_error::Error<serde_json::Error>) {
        let said = error.inner().to_string();
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        if said.starts_with("unknown field") {
            self.is_unknown_field = true;
            self.note(Violation { field, message: "is not a field of this request".to_owned() });
        } else {
            self.note(Violation { field, message: humane(&said) });
        }
    }

    fn into_unreadable(self) -> Unreadable {
        let violations = Violations(self.violations);
        if self.is_unknown_field {
            Unreadable::UnknownField(violations)
        } else {
            Unreadable::InvalidValue(violations)
        }
    }
}

/// Takes the offending field out; an element of a list goes with its list. False when there is nothing to take.
fn take_out(rest: &mut Value, path: &Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some(last) = segments.iter().rposition(|segment| matches!(segment, Segment::Map { .. })) else {
        return false;
    };
    let (parents, field) = segments.split_at(last);
    let parent = parents.iter().try_fold(rest, |value, segment| match segment {
        Segment::Map { key } => value.get_mut(key),
        Segment::Seq { index } => value.get_mut(*index),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    match (parent.and_then(Value::as_object_mut), field.first()) {
        (Some(object), Some(Segment::Map { key })) => object.remove(key).is_some(),
        _ => false,
    }
}

/// serde's words for what it expected, in words for people.
fn humane(said: &str) -> String {
    let said = without_place(said);
    let Some((_, expected)) = said.rsplit_once(", expected ") else {
        return said;
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    };
    format!("must be {expected}")
}

fn without_place(said: &str) -> String {
    said.rsplit_once(" at line ").map_or(said, |(message, _)| message).to_owned()
}

fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
