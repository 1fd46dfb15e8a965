//! Results that are the last JSON that a process prints on its standard output.

use serde::de::IgnoredAny;

use crate::output::mask::Mask;
use crate::output::ring::Ring;
use crate::result::{Failure, Found, NO_RESULT};

/// How much a process may print after its result, in bytes, without the result being out of reach.
const CHATTER_BYTES_MAX: usize = 256 * 1024;

/// Keeps the end of standard output: the largest result and some chatter after it.
#[derive(Debug)]
pub(super) struct JsonLast {
    end: Ring,
    bytes_max: usize,
}

impl JsonLast {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { end: Ring::new(bytes_max.saturating_add(CHATTER_BYTES_MAX)), bytes_max }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.end.push(bytes);
    }

    /// All of standard output if that is JSON, else its last line that is; byte for byte, but for values of secrets.
    pub(super) fn finish(self, mask: &Mask) -> Found {
        let bytes_max = self.bytes_max;
        let is_cut = self.end.dropped() > 0;
        let bytes = self.end.into_bytes();
        let result = last_json(&bytes, is_cut)
            .ok_or_else(|| no_result("no line on standard output is JSON".to_owned()))
            .and_then(|json| checked(json, bytes_max, mask));
        Found { result, usage: None }
    }
}

fn last_json(bytes: &[u8], is_cut: bool) -> Option<&str> {
    if !is_cut && let Some(json) = as_json(bytes) {
        return Some(json);
    }
    let mut lines = bytes.split(|byte| *byte == b'\n');
    if is_cut {
        lines.next(); // its beginning is missing; `12` may be left of `{"n":12`
    }
    lines.rev().find_map(as_json)
}

fn as_json(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    // Most lines are not JSON, and most of those show it at once.
    let may_be =
        text.starts_with(|first: char| matches!(first, '{' | '[' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n'));
    (may_be && serde_json::from_str::<IgnoredAny>(text).is_ok()).then_some(text)
}

fn checked(json: &str, bytes_max: usize, mask: &Mask) -> Result<String, Failure> {
    if json.len() > bytes_max {
        let message = format!("the result has {} bytes of JSON, at most {bytes_max} are taken", json.len());
        return Err(Failure { kind: "result_too_large", message, is_retryable: false });
    }
    domain::json::check(json).map_err(|unfit| no_result(format!("the result {unfit}")))?;
    let masked = mask.all_of(json);
    match serde_json::from_str::<IgnoredAny>(&masked) {
        Ok(_) => Ok(masked),
        Err(_) => Err(no_result("the result holds the value of a secret outside of any text".to_owned())),
    }
}

fn no_result(message: String) -> Failure {
    Failure { kind: NO_RESULT, message, is_retryable: true }
}
