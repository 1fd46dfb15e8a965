//! Turns bytes that come in parts into text that can be stored.

/// Decodes UTF-8 as it comes. What is invalid, and U+0000, becomes U+FFFD; a character in two parts stays whole.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a character, at most 3 bytes.
    held: Vec<u8>,
}

impl Decoder {
    /// Appends what is certain to `text`.
    pub(crate) fn push(&mut self, bytes: &[u8], text: &mut String) {
        if self.held.is_empty() {
            self.decode(bytes, text);
        } else if !bytes.is_empty() {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(bytes);
            self.decode(&joined, text);
        }
    }

    /// Appends what is left; a character that was never completed is invalid.
    pub(crate) fn finish(&mut self, text: &mut String) {
        if !std::mem::take(&mut self.held).is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn decode(&mut self, bytes: &[u8], text: &mut String) {
        let mut rest = bytes.len();
        for chunk in bytes.utf8_chunks() {
            push_without_nul(chunk.valid(), text);
            rest -= chunk.valid().len() + chunk.invalid().len();
            if rest == 0 && is_beginning(chunk.invalid()) {
                self.held.extend_from_slice(chunk.invalid());
            } else if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

/// All of `bytes` as text.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut decoder = Decoder::default();
    decoder.push(bytes, &mut text);
    decoder.finish(&mut text);
    text
}

/// The end of a stream as text, without the end of a character whose beginning is missing.
pub(crate) fn lossy_end(bytes: &[u8]) -> String {
    let is_inside = |byte: &&u8| (0x80..0xC0).contains(*byte);
    let inside_count = bytes.iter().take(3).take_while(is_inside).count();
    lossy(bytes.get(inside_count..).unwrap_or_default())
}

/// Whether these bytes would be a character if more followed.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn push_without_nul(valid: &str, text: &mut String) {
    let mut parts = valid.split('\0');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push(char::REPLACEMENT_CHARACTER);
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_parts_stays_whole_and_half_a_character_at_the_end_is_marked() {
        let mut decoder = Decoder::default();
        let mut text = String::new();
        for byte in "aä€😀".bytes() {
            decoder.push(&[byte], &mut text);
        }
        assert_eq!(text, "aä€😀");
        decoder.push(&[0xF0, 0x9F], &mut text);
        assert_eq!(text, "aä€😀", "it may still become a character");
        decoder.finish(&mut text);
        assert_eq!(text, "aä€😀\u{FFFD}");
    }

    #[test]
    fn what_is_invalid_and_the_null_character_are_replaced() {
        assert_eq!(lossy(b"a\0b\xFFc\xE2\x82d\0"), "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}");
    }

    #[test]
    fn the_end_of_a_stream_begins_with_a_whole_character() {
        assert_eq!(lossy_end(&"😀a".as_bytes()[1..]), "a");
        assert_eq!(lossy_end(&[0x80, 0x80, 0x80, 0x80, b'a']), "\u{FFFD}a", "no character is that long");
    }
}
