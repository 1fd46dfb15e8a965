//! What the streams of agents have in common: JSON objects with a `type`, one a line.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::result::lines::LINE_BYTES_MAX;
use crate::result::{Failure, NO_RESULT};

/// The `type` of a message; `None` where the line is no message.
pub(super) fn kind_of(line: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Message<'line> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'line, str>,
    }
    serde_json::from_slice::<Message<'_>>(line).ok().map(|message| message.kind)
}

/// The text at a JSON pointer, without U+0000, which no store can hold.
pub(super) fn text(message: &Value, pointer: &str) -> Option<String> {
    let text = message.pointer(pointer).and_then(Value::as_str)?;
    Some(text.replace('\0', "\u{FFFD}"))
}

/// The whole number at a JSON pointer.
pub(super) fn number(message: &Value, pointer: &str) -> Option<u64> {
    message.pointer(pointer).and_then(Value::as_u64)
}

/// Why a stream holds no answer.
pub(super) fn no_answer(wanted: &str, skipped_count: u64) -> Failure {
    let skipped = match skipped_count {
        0 => String::new(),
        count => format!(" ({count} lines longer than {LINE_BYTES_MAX} bytes were skipped)"),
    };
    let message = format!("standard output does not hold {wanted}{skipped}");
    Failure { kind: NO_RESULT, message, is_retryable: true }
}
