//! Chance that can be played again: the simulator's own, and what the program takes from the system.
//!
//! The program asks the system for randomness in two ways: the seeds of hash maps (whose order of iteration may decide
//! what is planned first) and the jitter of backoffs. Both call `getrandom` of the C library. This binary has a function
//! of that name, so that on a thread that plays a seed the answer follows from the seed.
#![expect(
    unsafe_code,
    reason = "a function of the C library is answered for; nothing else makes hash maps repeat"
)]

use std::cell::Cell;
use std::io::Read;

thread_local! {
    static PLAYED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on, this thread's randomness follows from the seed. To be called before anything else on the thread.
pub fn play(seed: u64) {
    PLAYED.set(Some(Chance::of(seed, "system").next()));
}

/// What the system would answer; on a thread that plays a seed, what follows from it.
///
/// # Safety
/// As of the C library: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    if buffer.is_null() || length == 0 {
        return 0;
    }
    // SAFETY: the caller gives so much room, and nobody else has it meanwhile.
    let bytes = unsafe {
        std::ptr::write_bytes(buffer, 0, length);
        std::slice::from_raw_parts_mut(buffer, length)
    };
    if let Ok(Some(state)) = PLAYED.try_with(Cell::get) {
        let mut chance = Chance(state);
        for chunk in bytes.chunks_mut(8) {
            let word = chance.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        PLAYED.set(Some(chance.0));
    } else if std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes)).is_err() {
        return -1;
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// A source of numbers that follow from a seed: `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The source that `who` has under a seed; each has its own, so that one more throw of the one moves no other.
    pub fn of(seed: u64, who: &str) -> Self {
        let mut state = Self(seed);
        for byte in who.bytes() {
            state.0 = state.next() ^ u64::from(byte);
        }
        Self(state.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// True so many times in a thousand.
    pub fn once_in_a_while(&mut self, permille: u64) -> bool {
        self.between(1, 1_000) <= permille
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(from.len()).ok()?.checked_sub(1)?;
        from.get(usize::try_from(self.between(0, last)).ok()?)
    }
}
