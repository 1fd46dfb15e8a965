//! Cursors and other parameters of lists, see `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::cursors(bytes));
