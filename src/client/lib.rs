//! Typed client of our own API.
