//! What the server answered: the typed value, and the text it was read from.

use std::ops::Deref;

/// A successful answer; it reads like the value itself.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    value: T,
    text: String,
    is_replayed: bool,
    status: u16,
}

impl<T> Answer<T> {
    /// Puts an answer together.
    pub(crate) const fn new(value: T, text: String, is_replayed: bool, status: u16) -> Self {
        Self { value, text, is_replayed, status }
    }

    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The body, byte for byte as the server sent it; empty where it sent none.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The HTTP status, from 200 to 299.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the idempotency key was used before, so that nothing new was made.
    pub const fn is_replayed(&self) -> bool {
        self.is_replayed
    }
}

impl<T> Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
