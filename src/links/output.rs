//! Shapes what a process prints into text that can be stored: valid, bounded, without secrets.
//!
//! ```text
//!   bytes --Decoder--> text --Mask--> head: handed out at once, until it is full
//!                                     tail: raw bytes in a ring; decoded and masked at the end, and only what is kept
//! ```
//!
//! Invariant: text that goes out was masked in one pass over everything that can touch it, however the bytes came.

pub(crate) mod decode;
pub(crate) mod mask;
pub(crate) mod ring;

use std::sync::Arc;

use domain::Secret;

use crate::output::decode::Decoder;
use crate::output::mask::Mask;
use crate::output::ring::Ring;

/// Largest piece of output, in bytes: a row of the store, a message to a watcher.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Largest tail, in bytes: each attempt whose output is cut holds as much memory until it ends.
const TAIL_BYTES_MAX: usize = 1024 * 1024;
/// Longest marker of a cut, in bytes: `u64::MAX` has 20 digits.
const MARKER_BYTES_MAX: usize = 43;

/// A piece of output, at most 64 KiB of text without U+0000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// The text.
    pub text: Arc<str>,
    /// Whether output before this piece was cut.
    pub follows_cut: bool,
}

/// Makes pieces of what one process prints. The first bytes go out as they come, the last ones at the end.
///
/// All pieces together never exceed the limit, the marker of the cut included: three quarters of it (or all but
/// 1 MiB) are the head. Text that fits before it is masked stays whole. Invalid UTF-8 and U+0000 become U+FFFD. Values
/// of secrets of at least 6 bytes become `***`.
#[derive(Debug)]
pub struct Shaper {
    bytes_max: usize,
    head_bytes_max: usize,
    mask: Mask,
    decoder: Decoder,
    /// Decoded, but it may be the beginning of a secret.
    pending: String,
    /// How many bytes of `pending` belong to a secret whose mask is out already.
    covered: usize,
    /// Text of the head that waits to be taken, from `taken` on.
    ready: String,
    taken: usize,
    /// How long the head is so far, in bytes.
    head_bytes: usize,
    tail: Option<Tail>,
}

/// What comes after the head.
#[derive(Debug)]
struct Tail {
    /// Masked text that the head had no room for.
    masked: String,
    ring: Ring,
}

impl Shaper {
    /// For a process that may print `bytes_max` bytes, and that knows these secrets.
    #[must_use]
    pub fn new(bytes_max: u64, secrets: Vec<Secret>) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        // Limits that leave no room for a marker keep the end only.
        let tail_bytes = (bytes_max / 4).min(TAIL_BYTES_MAX).max(bytes_max.min(MARKER_BYTES_MAX));
        Self {
            bytes_max,
            head_bytes_max: bytes_max - tail_bytes,
            mask: Mask::new(&secrets),
            decoder: Decoder::default(),
            pending: String::new(),
            covered: 0,
            ready: String::new(),
            taken: 0,
            head_bytes: 0,
            tail: None,
        }
    }

    /// Takes what the process printed. Costs a copy into the ring once the head is full.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.tail.is_none() && !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE_BYTES_MAX));
            self.decoder.push(now, &mut self.pending);
            self.extend_head(false);
            rest = later;
        }
        if let Some(tail) = &mut self.tail {
            tail.ring.push(rest);
        }
    }

    /// The next full piece of the head, if there is one.
    pub fn take(&mut self) -> Option<OutputPiece> {
        let waiting = self.ready.get(self.taken..)?;
        (waiting.len() >= PIECE_BYTES_MAX).then(|| self.next_piece()).flatten()
    }

    /// The next piece of the head, full or not; `None` when nothing waits. What may be the beginning of a secret or
    /// of a character is held back.
    pub fn flush(&mut self) -> Option<OutputPiece> {
        self.next_piece()
    }

    /// What is left: the rest of the head, the marker of the cut, the tail.
    #[must_use]
    pub fn finish(mut self) -> Vec<OutputPiece> {
        if self.tail.is_none() {
            self.decoder.finish(&mut self.pending);
            self.extend_head(true);
        }
        let mut pieces: Vec<OutputPiece> = std::iter::from_fn(|| self.next_piece()).collect();
        let Some(tail) = self.tail.take() else { return pieces };
        let (text, cut_bytes) = tail.into_text(&self.mask, self.covered);
        let room = self.bytes_max - self.head_bytes;
        if cut_bytes == 0 && text.len() <= room {
            pieces.extend(pieces_of(&text, false));
            return pieces;
        }
        pieces.extend(pieces_of(&shortened_front(&text, cut_bytes, room), true));
        pieces
    }

    /// Moves what is certain of `pending` to the head; what the head has no room for begins the tail.
    fn extend_head(&mut self, is_last: bool) {
        self.ready.drain(..self.taken);
        self.taken = 0;
        let before = self.ready.len();
        let certain = self.mask.pass(&self.pending, &mut self.covered, is_last, &mut self.ready);
        self.pending.drain(..certain);
        let room = self.head_bytes_max - self.head_bytes;
        if self.ready.len() - before <= room {
            self.head_bytes += self.ready.len() - before;
            return;
        }
        let end = self.ready.floor_char_boundary(before + room);
        let masked = self.ready.split_off(end);
        self.head_bytes += end - before;
        // Beside the tail itself: the rest of a character, and of a secret, that begins before it.
        let slack = self.mask.longest() + 3;
        let mut ring = Ring::new((self.bytes_max - self.head_bytes).saturating_add(slack));
        ring.push(self.pending.as_bytes());
        ring.push(&self.decoder.take());
        self.pending = String::new();
        self.tail = Some(Tail { masked, ring });
    }

    fn next_piece(&mut self) -> Option<OutputPiece> {
        let end = self.ready.floor_char_boundary(self.taken.saturating_add(PIECE_BYTES_MAX));
        let text = self.ready.get(self.taken..end).filter(|text| !text.is_empty())?;
        let piece = OutputPiece { text: Arc::from(text), follows_cut: false };
        self.taken = end;
        Some(piece)
    }
}

impl Tail {
    /// The text, and how many bytes before it were dropped.
    fn into_text(self, mask: &Mask, mut covered: usize) -> (String, u64) {
        let dropped = self.ring.dropped();
        if dropped == 0 {
            let mut text = self.masked;
            mask.pass(&decode::lossy(&self.ring.into_bytes()), &mut covered, true, &mut text);
            return (text, 0);
        }
        let bytes = self.ring.into_bytes();
        let text = decode::lossy_end(&bytes);
        let halved = bytes.len().saturating_sub(text.len());
        let (text, hidden) = mask.end_of(&text);
        (text, dropped + count(halved + hidden + self.masked.len()))
    }
}

/// The end of `text` behind a marker, both in at most `room` bytes; `cut_bytes` are missing already.
fn shortened_front(text: &str, cut_bytes: u64, room: usize) -> String {
    let has_marker = room >= MARKER_BYTES_MAX;
    let text_room = if has_marker { room - MARKER_BYTES_MAX } else { room };
    let start = text.ceil_char_boundary(text.len().saturating_sub(text_room));
    let kept = text.get(start..).unwrap_or_default();
    if has_marker { marker(cut_bytes + count(start)) + kept } else { kept.to_owned() }
}

/// What stands where `cut_bytes` are missing, at most [`MARKER_BYTES_MAX`] bytes.
pub(crate) fn marker(cut_bytes: u64) -> String {
    format!("\n[... {cut_bytes} bytes cut ...]\n")
}

/// `text` with the values of secrets of at least 6 bytes replaced by `***`.
pub(crate) fn masked(text: &str, secrets: &[Secret]) -> String {
    Mask::new(secrets).all_of(text)
}

fn pieces_of(text: &str, follows_cut: bool) -> Vec<OutputPiece> {
    let mut pieces = Vec::with_capacity(text.len().div_ceil(PIECE_BYTES_MAX));
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES_MAX));
        pieces.push(OutputPiece { text: Arc::from(piece), follows_cut: follows_cut && pieces.is_empty() });
        rest = later;
    }
    pieces
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
