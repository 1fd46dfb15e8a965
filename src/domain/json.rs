//! JSON that users hand in: kept as raw bytes, never re-encoded, only checked for what the store cannot hold.

/// Deepest nesting that is accepted.
pub const DEPTH_MAX: usize = 64;

/// Why a JSON text is refused although it is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("is nested deeper than 64 levels")]
    TooDeep,
    /// Holds the character U+0000, which PostgreSQL can hold neither in text nor in jsonb.
    #[error("holds the character U+0000")]
    Nul,
}

/// Checks a text that is known to be well-formed JSON; one pass, nothing allocated.
///
/// # Errors
/// [`Unfit`] names the first rule that is broken.
pub fn check(json: &str) -> Result<(), Unfit> {
    let mut depth = 0_usize;
    let mut is_string = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match (is_string, byte) {
            (_, 0) => return Err(Unfit::Nul),
            (false, b'"') => is_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Unfit::TooDeep);
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            (true, b'"') => is_string = false,
            (true, b'\\') => {
                if bytes.next() == Some(b'u') && bytes.clone().take(4).eq(*b"0000") {
                    return Err(Unfit::Nul);
                }
            }
            (true | false, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_levels_pass_and_sixty_five_do_not() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(&nested(64)), Ok(()));
        assert_eq!(check(&nested(65)), Err(Unfit::TooDeep));
        assert_eq!(check(&format!("[{},{}]", nested(63), nested(63))), Ok(()), "siblings do not add up");
    }

    #[test]
    fn an_escaped_nul_is_found_and_an_escaped_backslash_is_not_mistaken_for_one() {
        assert_eq!(check(r#""a\u0000b""#), Err(Unfit::Nul));
        assert_eq!(check(r#"{"k\u0000":1}"#), Err(Unfit::Nul));
        assert_eq!(check(r#""a\\u0000b""#), Ok(()));
        assert_eq!(check(r#""\u0001 \" [[[ \\""#), Ok(()));
    }
}
