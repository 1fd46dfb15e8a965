//! `--env-file`: environment values from a file, because every user of a machine can read the flags of every process.
//!
//! Invariant: no error repeats what stands in a line, which may be a secret.

use std::collections::BTreeMap;
use std::io::Read;

use protocol::SecretText;

use crate::failure::Failure;

/// More than any environment takes; reading on would only fill the memory.
const BYTES_MAX: u64 = 8 << 20;

/// Reads lines like `NAME=VALUE`; empty ones and those that begin with `#` are skipped. Values are taken as they stand,
/// up to the end of the line: no quotes, escapes or variables are understood. `-` stands for stdin.
///
/// # Errors
/// A [`Failure`] that names the line.
pub fn read(path: &str) -> Result<BTreeMap<String, SecretText>, Failure> {
    let mut text = String::new();
    let taken = if path == "-" {
        std::io::stdin().take(BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    };
    let origin = if path == "-" { "stdin" } else { path };
    let bytes = taken.map_err(|error| Failure::usage(format!("cannot read {origin}: {error}")))?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes >= BYTES_MAX) {
        return Err(Failure::usage(format!("{origin} is larger than any environment")));
    }
    parse(&text).map_err(|(line, why)| {
        Failure::usage(format!("{origin} line {line} {why}")).hint("lines are like NAME=VALUE")
    })
}

fn parse(text: &str) -> Result<BTreeMap<String, SecretText>, (usize, &'static str)> {
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index.saturating_add(1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or((number, "has no `=`"))?;
        if name.is_empty() {
            return Err((number, "has no name"));
        }
        if values.insert(name.to_owned(), SecretText::new(value)).is_some() {
            return Err((number, "names what an earlier line has named"));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_they_stand() {
        let read = parse("# a key\nKEY=a=b \"c\"  \n\nEMPTY=\r\nX= $HOME\n").unwrap();
        let expected = [("EMPTY", ""), ("KEY", "a=b \"c\"  "), ("X", " $HOME")];
        let expected = expected.map(|(name, value)| (name.to_owned(), SecretText::new(value)));
        assert_eq!(read, BTreeMap::from(expected));
    }

    #[test]
    fn a_broken_line_is_named_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        for (text, line) in [("A=1\nhunter2", 2), ("=hunter2", 1), ("A=hunter2\nA=hunter2", 2)] {
            std::fs::write(&path, text).unwrap();
            let failure = read(&path.display().to_string()).unwrap_err();
            assert!(failure.message.contains(&format!("line {line} ")), "{failure}");
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
        assert!(read("/nowhere/env").unwrap_err().message.starts_with("cannot read /nowhere/env: "));
    }
}
