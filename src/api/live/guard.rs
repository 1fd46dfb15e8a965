//! What comes from a client, piece by piece, on its way to the library: it would read a frame of any length into memory
//! before it looked at the limit.
//!
//! Invariant: no frame above the hard limit, and no message of many frames, is read into memory.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use futures_util::{Stream, StreamExt};

use crate::connection::Client;

/// Bytes of a frame's head at most, source: <https://www.rfc-editor.org/rfc/rfc6455#section-5.2>.
const HEAD_BYTES_MAX: usize = 14;

/// Says that a frame was too large.
pub(crate) type TooLarge = Rc<Cell<bool>>;

/// Holds up what comes from a client: while it is shut, nothing more is read, and the client's writes block.
#[derive(Default)]
pub(crate) struct Valve {
    is_shut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Valve {
    /// Shuts or opens it.
    pub(crate) fn shut(&self, is_shut: bool) {
        if self.is_shut.replace(is_shut)
            && !is_shut
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn holds(&self, cx: &Context<'_>) -> bool {
        if self.is_shut.get() {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.is_shut.get()
    }
}

/// The body of the request that became a WebSocket.
pub(crate) struct Guard {
    payload: Payload,
    client: Client,
    frames: Frames,
    too_large: TooLarge,
    valve: Rc<Valve>,
    is_over: bool,
}

impl Guard {
    /// Lets frames of at most `bytes_max` through.
    pub(crate) fn new(
        payload: Payload,
        client: Client,
        too_large: TooLarge,
        (bytes_max, valve): (usize, Rc<Valve>),
    ) -> Self {
        Self { payload, client, frames: Frames::new(bytes_max), too_large, valve, is_over: false }
    }
}

impl Stream for Guard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.valve.holds(cx) {
            return Poll::Pending;
        }
        let piece = this.payload.poll_next_unpin(cx);
        this.client.reads(piece.is_pending(), cx);
        if let Poll::Ready(Some(Ok(bytes))) = &piece
            && !this.frames.see(bytes)
        {
            this.is_over = true;
            this.too_large.set(true);
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        piece
    }
}

/// Where in the frames the stream is.
struct Frames {
    bytes_max: u64,
    head: Vec<u8>,
    /// Bytes of the present frame that are still to come.
    rest: u64,
}

impl Frames {
    fn new(bytes_max: usize) -> Self {
        let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        Self { bytes_max, head: Vec::new(), rest: 0 }
    }

    /// Looks at the next bytes. False: a frame begins that is too large.
    fn see(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let step = usize::try_from(self.rest).unwrap_or(usize::MAX).min(bytes.len());
                self.rest = self.rest.saturating_sub(u64::try_from(step).unwrap_or(u64::MAX));
                bytes = bytes.get(step..).unwrap_or_default();
                continue;
            }
            let Some((first, others)) = bytes.split_first() else { return true };
            self.head.push(*first);
            bytes = others;
            if let Some(length) = length(&self.head) {
                self.head.clear();
                self.rest = length;
                if length > self.bytes_max {
                    return false;
                }
            } else if self.head.len() >= HEAD_BYTES_MAX {
                return false;
            }
        }
        true
    }
}

/// The length of the payload, once the head is whole.
fn length(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (length, at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(head.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    (head.len() >= at + mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use protocol::live::limits::MESSAGE_BYTES_HARD_MAX;

    use super::*;

    fn frame(length: u64) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match length {
            0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes
    }

    #[test]
    fn frames_up_to_the_limit_pass_however_they_are_cut() {
        let limit = u64::try_from(MESSAGE_BYTES_HARD_MAX).unwrap();
        let mut stream = Vec::new();
        for length in [0, 1, 125, 126, 65_535, 65_536, limit] {
            stream.extend(frame(length));
            stream.extend(vec![0xff; usize::try_from(length).unwrap()]);
        }
        for cut in [1, 2, 3, 7, 4_096, stream.len()] {
            let mut frames = Frames::new(MESSAGE_BYTES_HARD_MAX);
            assert!(stream.chunks(cut).all(|piece| frames.see(piece)), "cut into {cut}");
            assert_eq!((frames.rest, frames.head.len()), (0, 0), "cut into {cut}");
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_head() {
        let limit = u64::try_from(MESSAGE_BYTES_HARD_MAX).unwrap();
        for length in [limit + 1, u64::MAX] {
            let head = frame(length);
            let mut frames = Frames::new(MESSAGE_BYTES_HARD_MAX);
            let seen: Vec<bool> = head.iter().map(|byte| frames.see(&[*byte])).collect();
            assert_eq!(seen.iter().position(|fits| !fits), Some(head.len() - 1));
        }
    }
}
