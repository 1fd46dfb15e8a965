//! Chance that is always the same: hash maps take their seeds from `getrandom` of the C library, and how many entries
//! meet in one place of a map would change the count from run to run.
#![expect(
    unsafe_code,
    reason = "a function of the C library is answered for; nothing else makes hash maps repeat"
)]

/// What the system would answer; here, the same bytes each time.
///
/// # Safety
/// As of the C library: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    if !buffer.is_null() {
        // SAFETY: the caller gives so much room.
        unsafe { std::ptr::write_bytes(buffer, 0x5a, length) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}
