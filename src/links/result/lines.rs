//! Lines of a stream that comes in parts, with a limit on the memory that one may take.

/// Longest line that is read, in bytes. A line carries a whole answer or the output of a whole command; 4 MiB hold
/// the largest result with every character escaped as people write it. Longer ones are skipped.
pub(super) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much memory stays with the reader between lines, in bytes.
const LINE_BYTES_KEPT: usize = 64 * 1024;

/// Cuts a stream into lines. Holds at most one line of [`LINE_BYTES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    is_skipping: bool,
    skipped_count: u64,
}

impl Lines {
    /// Gives every line that is whole now to `read`, without its end.
    pub(super) fn push(&mut self, bytes: &[u8], mut read: impl FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        let mut part = parts.next();
        while let Some(now) = part {
            part = parts.next();
            if part.is_some() && self.line.is_empty() && !self.is_skipping && now.len() <= LINE_BYTES_MAX {
                read(now); // whole as it came: no copy
                continue;
            }
            self.extend(now);
            if part.is_some() {
                self.end(&mut read);
            }
        }
    }

    /// Gives the last line to `read`, if it had no end, and says how many lines were too long to read.
    pub(super) fn finish(mut self, mut read: impl FnMut(&[u8])) -> u64 {
        if !self.line.is_empty() || self.is_skipping {
            self.end(&mut read);
        }
        self.skipped_count
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.is_skipping {
            return;
        }
        if self.line.len() + bytes.len() > LINE_BYTES_MAX {
            self.is_skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, read: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.is_skipping) {
            self.skipped_count += 1;
        } else {
            read(&self.line);
        }
        self.line.clear();
        self.line.shrink_to(LINE_BYTES_KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(parts: &[&[u8]]) -> (Vec<usize>, u64) {
        let mut lengths = Vec::new();
        let mut lines = Lines::default();
        for part in parts {
            lines.push(part, |line| lengths.push(line.len()));
            assert!(lines.line.capacity() <= LINE_BYTES_MAX * 2, "an endless line takes no more memory");
        }
        let skipped = lines.finish(|line| lengths.push(line.len()));
        (lengths, skipped)
    }

    #[test]
    fn a_line_in_parts_is_one_line_and_an_empty_one_is_a_line() {
        assert_eq!(lines_of(&[b"ab", b"c\n\nde\n", b"f"]), (vec![3, 0, 2, 1], 0));
    }

    #[test]
    fn a_line_beyond_the_limit_is_skipped_and_the_next_one_is_read() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines_of(&[&long, b"\nab\n"]), (vec![LINE_BYTES_MAX, 2], 0));
        assert_eq!(lines_of(&[&long, b"x\nab\n"]), (vec![2], 1));
        assert_eq!(lines_of(&[&long, &long, &long]), (vec![], 1));
        assert_eq!(lines_of(&[&long, b"x", b"yz\nab\n"]), (vec![2], 1), "its end is no line");
        let whole = [long.as_slice(), b"x\nab"].concat();
        assert_eq!(lines_of(&[&whole]), (vec![2], 1), "also when it comes at once");
    }
}
