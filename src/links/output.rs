//! Shapes what a process prints into text that can be stored: valid, bounded, without secrets.
//!
//! ```text
//!   stdout --Decoder--> text --Mask--.
//!   stderr --Decoder--> text --Mask--+--> head: handed out at once, until it is full
//!                                    '--> tail: the last of it in a ring, handed out at the end
//! ```
//!
//! Invariant: text that goes out was masked in one pass over everything of its stream that can touch it, however the bytes
//! of both streams came.

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

/// Which of its two streams a process printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
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
    stdout: Uncertain,
    stderr: Uncertain,
    /// Text of the head that waits to be taken, from `taken` on.
    ready: String,
    taken: usize,
    /// How long the head is so far, in bytes.
    head_bytes: usize,
    /// What the head had no room for.
    tail: Option<Ring>,
}

/// The end of one stream that the next bytes of it may change.
#[derive(Debug, Default)]
struct Uncertain {
    decoder: Decoder,
    /// Decoded, but it may be the beginning of a secret.
    pending: String,
    /// How many bytes of `pending` belong to a secret whose mask is out already.
    covered: usize,
}

impl Shaper {
    /// For a process that may print `bytes_max` bytes, and that knows these secrets.
    #[must_use]
    pub fn new(bytes_max: u64, secrets: &[Secret]) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        // Limits that leave no room for a marker keep the end only.
        let tail_bytes = (bytes_max / 4).min(TAIL_BYTES_MAX).max(bytes_max.min(MARKER_BYTES_MAX));
        Self {
            bytes_max,
            head_bytes_max: bytes_max - tail_bytes,
            mask: Mask::new(secrets),
            stdout: Uncertain::default(),
            stderr: Uncertain::default(),
            ready: String::new(),
            taken: 0,
            head_bytes: 0,
            tail: None,
        }
    }

    /// Takes what the process printed on one of its streams.
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        for part in bytes.chunks(PIECE_BYTES_MAX) {
            let uncertain = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            uncertain.decoder.push(part, &mut uncertain.pending);
            let text = uncertain.certain(&self.mask, false);
            self.extend(&text);
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
        for mut uncertain in [std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr)] {
            uncertain.decoder.finish(&mut uncertain.pending);
            let text = uncertain.certain(&self.mask, true);
            self.extend(&text);
        }
        let mut pieces: Vec<OutputPiece> = std::iter::from_fn(|| self.next_piece()).collect();
        let Some(tail) = self.tail.take() else { return pieces };
        let dropped = tail.dropped();
        let bytes = tail.into_bytes();
        let text = decode::lossy_end(&bytes);
        if dropped == 0 {
            pieces.extend(pieces_of(&text, false));
            return pieces;
        }
        let cut_bytes = dropped + count(bytes.len().saturating_sub(text.len()));
        pieces.extend(pieces_of(&shortened_front(&text, cut_bytes, self.bytes_max - self.head_bytes), true));
        pieces
    }

    /// Appends masked text to the head; what the head has no room for goes to the tail.
    fn extend(&mut self, text: &str) {
        let mut rest = text;
        if self.tail.is_none() {
            self.ready.drain(..self.taken);
            self.taken = 0;
            let room = self.head_bytes_max - self.head_bytes;
            let (head, later) = text.split_at(text.floor_char_boundary(room));
            self.ready.push_str(head);
            self.head_bytes += head.len();
            rest = later;
        }
        if !rest.is_empty() {
            let room = self.bytes_max - self.head_bytes;
            self.tail.get_or_insert_with(|| Ring::new(room)).push(rest.as_bytes());
        }
    }

    fn next_piece(&mut self) -> Option<OutputPiece> {
        let end = self.ready.floor_char_boundary(self.taken.saturating_add(PIECE_BYTES_MAX));
        let text = self.ready.get(self.taken..end).filter(|text| !text.is_empty())?;
        let piece = OutputPiece { text: Arc::from(text), follows_cut: false };
        self.taken = end;
        Some(piece)
    }
}

impl Uncertain {
    /// Takes what is certain by now, masked.
    fn certain(&mut self, mask: &Mask, is_last: bool) -> String {
        let mut text = String::new();
        let certain = mask.pass(&self.pending, &mut self.covered, is_last, &mut text);
        self.pending.drain(..certain);
        text
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
