//! The admin token: made on the first start, kept in the data folder, found there by the CLI.
//!
//! Invariant: no type here shows the token in `Debug` or `Display`, so that no log line can.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::data_folder::write_whole;

/// The file's name in the data folder.
pub const FILE_NAME: &str = "admin.token";
/// Letters after the prefix: 52 letters of 5 bits hold 256 random bits.
const LETTERS: usize = 52;
const PREFIX: &str = "hive_";
/// RFC 4648 base32 in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Shorter ones could be guessed; somebody may put a token of their own into the file.
const CHARS_MIN: usize = 32;
const CHARS_MAX: usize = 256;

/// A token that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not exist.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read or written.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// What is in the file cannot be a token.
    #[error("{} does not hold a token of {CHARS_MIN} to {CHARS_MAX} visible characters", .0.display())]
    Unfit(PathBuf),
}

impl Token {
    /// A new one from 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        let mut text = String::with_capacity(PREFIX.len() + LETTERS);
        text.push_str(PREFIX);
        let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
        for letter in 0..LETTERS {
            let digit = (letter * 5..letter * 5 + 5).fold(0, |digit, at| digit * 2 + usize::from(bit(at)));
            text.push(ALPHABET.get(digit).map_or('a', |byte| char::from(*byte)));
        }
        Self(text)
    }

    /// From text that a user gave; `None` when it cannot go into a header.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let fits = (1..=CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Reads a token file.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => Error::Missing(path.to_path_buf()),
            ErrorKind::InvalidData => Error::Unfit(path.to_path_buf()),
            _ => Error::File { path: path.to_path_buf(), cause },
        })?;
        Self::from_text(&text)
            .filter(|token| token.0.len() >= CHARS_MIN)
            .ok_or_else(|| Error::Unfit(path.to_path_buf()))
    }

    /// The text itself, for the one header or hash that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Reads the folder's token, or makes it on the first start. Call it only while the folder is locked. A file that
/// others may read is closed to them.
///
/// # Errors
/// When the file cannot be read or written, or holds no token.
pub fn read_or_make(folder: &Path) -> Result<Token, Error> {
    let path = folder.join(FILE_NAME);
    let failed = |cause| Error::File { path: path.clone(), cause };
    match Token::from_file(&path) {
        Err(Error::Missing(_)) => {
            let token = Token::random();
            write_whole(folder, FILE_NAME, format!("{}\n", token.reveal()).as_bytes()).map_err(failed)?;
            Ok(token)
        }
        read => {
            let token = read?;
            let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).map_err(failed)?;
                tracing::warn!(path = %path.display(), "others could read the token file; closed to them");
            }
            Ok(token)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_first_start_makes_a_token_that_only_the_owner_can_read_and_later_ones_keep_it() {
        let folder = tempfile::tempdir().unwrap();
        let made = read_or_make(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", made.reveal()));
        assert_eq!(made.reveal().len(), 57);
        assert!(made.reveal().starts_with("hive_"));
        assert_eq!(read_or_make(folder.path()).unwrap(), made);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn two_tokens_differ_and_neither_shows_itself() {
        let (one, other) = (Token::random(), Token::random());
        assert!(one != other);
        assert_eq!(format!("{one:?}"), "Token(…)");
    }

    #[test]
    fn a_token_file_that_others_can_read_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        read_or_make(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        read_or_make(folder.path()).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn an_empty_short_or_binary_token_file_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        for content in [&b""[..], b"\n", b"short", b"two words that are longer than thirty-two", &[0xff; 40]]
        {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(read_or_make(folder.path()), Err(Error::Unfit(_))), "{content:?}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }
}
