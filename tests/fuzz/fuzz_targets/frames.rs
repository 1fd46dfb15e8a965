//! Frames of WebSocket clients, see `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::frames(bytes));
