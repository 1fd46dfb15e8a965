//! A diff as it is kept: valid text of bounded length, without secrets.

use std::ops::ControlFlow;

use domain::attempt::DIFF_BYTES_MAX;

use crate::output::decode::{self, Decoder};
use crate::output::mask::Mask;

/// The last line of one that was cut.
const CUT: &str = "[the diff is cut here: it is longer than 65536 bytes]\n";

/// A diff while it is read. Holds little more than what is kept of it.
#[derive(Debug, Default)]
pub(super) struct Diff {
    bytes: Vec<u8>,
}

impl Diff {
    /// Takes a piece; breaks off when there is more than can be kept.
    pub(super) fn push(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        if self.bytes.len() > DIFF_BYTES_MAX {
            return ControlFlow::Break(());
        }
        self.bytes.extend_from_slice(bytes);
        ControlFlow::Continue(())
    }

    /// Takes a new file whose content is not shown, in git's words.
    pub(super) fn push_large_file(&mut self, path: &[u8]) {
        let path = String::from_utf8_lossy(path);
        let shown = format!(
            "diff --git a/{path} b/{path}\nnew file mode 100644\nBinary files /dev/null and b/{path} differ\n"
        );
        // One that is too long already says so.
        let _ = self.push(shown.as_bytes());
    }

    /// This one, then another.
    pub(super) fn with(mut self, other: &Self) -> Self {
        let _ = self.push(&other.bytes);
        self
    }

    /// The text: bytes that are no UTF-8, and U+0000, are replaced, and secrets hidden, before anything is cut off.
    pub(super) fn finish(self, mask: &Mask) -> String {
        let is_whole = self.bytes.len() <= DIFF_BYTES_MAX;
        let mut text = if is_whole { mask.all_of(&decode::lossy(&self.bytes)) } else { self.beginning(mask) };
        if !is_whole || text.len() > DIFF_BYTES_MAX {
            text.truncate(text.floor_char_boundary(DIFF_BYTES_MAX - CUT.len() - 1));
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(CUT);
        }
        text
    }

    /// What was read of a longer one, without an end that may be the beginning of a character or a secret.
    fn beginning(&self, mask: &Mask) -> String {
        let mut text = String::with_capacity(self.bytes.len());
        Decoder::default().push(&self.bytes, &mut text);
        mask.beginning_of(&text)
    }
}

#[cfg(test)]
mod tests {
    use domain::Secret;

    use super::*;

    const SECRET: &str = "pässwörd-of-the-agent";

    fn finished(content: &str) -> String {
        let mut diff = Diff::default();
        for piece in content.as_bytes().chunks(1_000) {
            if diff.push(piece).is_break() {
                break;
            }
        }
        diff.finish(&Mask::new(&[Secret::new(SECRET)]))
    }

    #[test]
    fn a_diff_that_fits_is_kept_to_the_byte() {
        let fits = format!("{}\n", "x".repeat(DIFF_BYTES_MAX - 1));
        assert_eq!(finished(&fits), fits);
    }

    #[test]
    fn a_longer_one_is_cut_between_characters_and_says_so_in_its_last_line() {
        for character in ["x", "ü", "€", "🐝"] {
            let kept = finished(&character.repeat(DIFF_BYTES_MAX + 1));
            assert!(kept.len() <= DIFF_BYTES_MAX && kept.len() > DIFF_BYTES_MAX - 200, "{}", kept.len());
            let (content, last) = kept.trim_end().rsplit_once('\n').unwrap();
            assert!(last.contains("is cut here"), "{last}");
            assert!(content.chars().all(|found| character.starts_with(found)));
        }
    }

    #[test]
    fn no_beginning_of_a_secret_shows_where_a_diff_is_cut() {
        for before in DIFF_BYTES_MAX - 2 * SECRET.len() - CUT.len()..=DIFF_BYTES_MAX + 1 {
            let kept = finished(&format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(DIFF_BYTES_MAX)));
            assert!(kept.ends_with(CUT) && kept.len() <= DIFF_BYTES_MAX, "{before}");
            assert!(!kept.contains('p'), "{before}: {}", &kept[kept.len() - 100..]);
        }
        // masks make it shorter, so that the end of what was read is not cut off
        let kept = finished(&SECRET.repeat(DIFF_BYTES_MAX));
        assert!(kept.ends_with(CUT) && !kept.contains('p'), "{}", &kept[kept.len() - 100..]);
    }

    #[test]
    fn reading_breaks_off_where_the_cut_will_be() {
        let mut diff = Diff::default();
        assert!(diff.push(&[b'x'; DIFF_BYTES_MAX]).is_continue());
        assert!(diff.push(b"more").is_continue());
        assert!(diff.push(b"much more").is_break());
    }

    #[test]
    fn what_is_no_text_is_replaced_and_still_fits() {
        let mut diff = Diff::default();
        let _ = diff.push(&[0; DIFF_BYTES_MAX]);
        let kept = diff.finish(&Mask::new(&[]));
        assert!(kept.len() <= DIFF_BYTES_MAX && !kept.contains('\0'));
        assert!(kept.ends_with(CUT));
    }
}
