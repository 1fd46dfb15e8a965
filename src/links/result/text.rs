//! Results that are all of what a process prints on its standard output.

use crate::output::decode;
use crate::output::mask::Mask;
use crate::output::ring::Ring;
use crate::result::fit::{Gap, Words};
use crate::result::{Failure, Found};

/// Keeps the first and the last bytes of standard output; each at most the limit of a result.
#[derive(Debug)]
pub(super) struct Text {
    head: Vec<u8>,
    tail: Ring,
    bytes_max: usize,
}

impl Text {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { head: Vec::new(), tail: Ring::new(bytes_max), bytes_max }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes_max - self.head.len();
        let (head, tail) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        self.tail.push(tail);
    }

    /// `{"text": ...}`: without the line end at the end, as `$(...)` of a shell takes it.
    pub(super) fn finish(self, mask: &Mask) -> Found {
        let cut_bytes = self.tail.dropped();
        let tail = self.tail.into_bytes();
        let mut words = if cut_bytes == 0 {
            Words { head: mask.all_of(&decode::lossy(&[self.head, tail].concat())), gap: None }
        } else {
            let (tail, hidden) = mask.end_of(&decode::lossy_end(&tail));
            let cut_bytes = cut_bytes + u64::try_from(hidden).unwrap_or(u64::MAX);
            Words { head: mask.beginning_of(&decode::lossy(&self.head)), gap: Some(Gap { cut_bytes, tail }) }
        };
        let end = words.gap.as_mut().map_or(&mut words.head, |gap| &mut gap.tail);
        end.truncate(end.trim_end_matches(['\r', '\n']).len());
        Found { result: Ok::<_, Failure>(words.into_json(self.bytes_max)), usage: None }
    }
}
