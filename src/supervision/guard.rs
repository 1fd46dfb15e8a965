//! The crate's only `catch_unwind`: turns a panic of somebody else's code into a text.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A longer panic text is cut: it is kept for each actor and shown to people.
const MAX_TEXT_BYTES: usize = 2048;

/// Runs code that is not ours. A panic comes back as its text.
///
/// `AssertUnwindSafe` holds because every caller throws away what the panic may have left half done.
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(work)).map_err(panic_text)
}

/// Drops a value whose `Drop` is not ours and may panic.
pub(crate) fn drop_guarded<T>(value: T) -> Result<(), Arc<str>> {
    guarded(move || drop(value))
}

/// What a panic said.
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> Arc<str> {
    let text = if let Some(text) = payload.downcast_ref::<&'static str>() {
        clip(text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        clip(text)
    } else {
        Arc::from("a panic whose payload is not text")
    };
    // A payload can panic in its own drop; what that throws is forgotten, or it could go on for ever.
    std::mem::forget(catch_unwind(AssertUnwindSafe(move || drop(payload))));
    text
}

/// The text, cut at a character's edge.
pub(crate) fn clip(text: &str) -> Arc<str> {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(text.get(..end).unwrap_or_default())
}
