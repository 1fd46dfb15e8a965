//! The last bytes of a stream, in memory that never grows beyond them.

/// Keeps the last `capacity` bytes that were pushed. Memory is taken as it fills.
#[derive(Debug)]
pub(crate) struct Ring {
    bytes: Vec<u8>,
    /// Where the oldest byte is, once it is full.
    oldest: usize,
    capacity: usize,
    dropped: u64,
}

impl Ring {
    /// Keeps the last `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: Vec::new(), oldest: 0, capacity, dropped: 0 }
    }

    /// Appends; copies at most the capacity, whatever the length.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let excess = (self.bytes.len().saturating_add(bytes.len())).saturating_sub(self.capacity);
        self.dropped += u64::try_from(excess).unwrap_or(u64::MAX);
        let (_, bytes) = bytes.split_at(bytes.len().saturating_sub(self.capacity));
        let (into_room, mut rest) = bytes.split_at(bytes.len().min(self.capacity - self.bytes.len()));
        self.bytes.extend_from_slice(into_room);
        while !rest.is_empty() {
            let Some((now, later)) = rest.split_at_checked(rest.len().min(self.capacity - self.oldest))
            else {
                return;
            };
            if let Some(old) = self.bytes.get_mut(self.oldest..self.oldest + now.len()) {
                old.copy_from_slice(now);
            }
            self.oldest = (self.oldest + now.len()) % self.capacity;
            rest = later;
        }
    }

    /// How many bytes were pushed and are no longer here.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The bytes, oldest first.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.rotate_left(self.oldest);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_holds_the_last_bytes_however_they_come() {
        let stream: Vec<u8> = (0..200).collect();
        for capacity in [0, 1, 7, 64, 200, 300] {
            for step in [1, 3, 7, 63, 64, 65, 200] {
                let mut ring = Ring::new(capacity);
                stream.chunks(step).for_each(|part| ring.push(part));
                let kept = stream.len().min(capacity);
                assert_eq!(ring.dropped(), u64::try_from(stream.len() - kept).unwrap());
                assert_eq!(ring.into_bytes(), stream[stream.len() - kept..], "{capacity} by {step}");
            }
        }
    }
}
