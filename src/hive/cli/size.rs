//! Sizes as people write and read them: `512M`.

/// Units, largest first, in bytes: powers of 1024, as `ulimit` and containers count.
const UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its bytes.
    pub bytes: u64,
}

/// Why a text is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be like 512M or 2G: a whole number with its unit (K M G T, powers of 1024)")]
pub struct NotASize;

impl std::str::FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or(NotASize)?;
        let (number, unit) = text.split_at(split);
        let unit = unit.strip_suffix("iB").unwrap_or(unit);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotASize)?;
        let number: u64 = number.parse().map_err(|_| NotASize)?;
        number.checked_mul(*size).map(|bytes| Self { bytes }).ok_or(NotASize)
    }
}

/// A size in the largest unit that tells it exactly: `2 GiB`, `1,000 bytes`.
#[must_use]
pub fn in_words(bytes: u64) -> String {
    match UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{} {unit}iB", super::words::count(bytes / size)),
        None => super::words::counted(bytes, "byte"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_whole_with_its_unit() {
        let read = |text: &str| text.parse::<Size>().map(|size| size.bytes);
        assert_eq!([read("1K"), read("512M"), read("2GiB")], [Ok(1_024), Ok(536_870_912), Ok(2_147_483_648)]);
        for bad in ["", "512", "M", "1.5G", "-1G", "2 G", "2g", "2GB", "1MiBx", "99999999999T"] {
            assert_eq!(read(bad), Err(NotASize), "{bad:?}");
        }
    }

    #[test]
    fn a_size_is_told_exactly() {
        assert_eq!([in_words(2 << 30), in_words(1_536), in_words(1)], ["2 GiB", "1,536 bytes", "1 byte"]);
    }
}
