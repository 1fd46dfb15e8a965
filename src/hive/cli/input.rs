//! Values that users type: JSON from three places, `key=value`, agents by name.

use std::collections::BTreeMap;
use std::io::Read;

use client::Client;
use domain::{AgentId, ApiKeyId, Timestamp};
use protocol::page::LIMIT_MAX;
use protocol::query::PageQuery;
use serde_json::value::RawValue;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::Span;

/// More than any hive takes; reading on would only fill the memory.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// Reads the value of a flag: JSON as it stands, `@file`, or `-` for stdin. The text is handed on byte for byte.
///
/// # Errors
/// A [`Failure`] when it cannot be read or is not JSON.
pub fn json(flag: &str, asked: &str, stdin: impl Read) -> Result<Box<RawValue>, Failure> {
    let (text, origin) = if asked == "-" {
        (read(stdin).map_err(|error| unreadable("stdin", &error))?, "stdin".to_owned())
    } else if let Some(path) = asked.strip_prefix('@') {
        let text = std::fs::File::open(path).and_then(read).map_err(|error| unreadable(path, &error))?;
        (text, path.to_owned())
    } else {
        (asked.to_owned(), flag.to_owned())
    };
    RawValue::from_string(text.trim_ascii().to_owned()).map_err(|error| {
        Failure::usage(format!("{origin} does not hold JSON: {error}"))
            .hint(format!("text needs quotes of its own: {flag} '\"hello\"'; a file is named as @file"))
    })
}

fn read(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > INPUT_BYTES_MAX) {
        return Err(std::io::Error::other("it is larger than the 16 MiB that any hive takes"));
    }
    Ok(text)
}

fn unreadable(origin: &str, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {origin}: {error}"))
}

/// Reads a moment: RFC 3339, or a span before now like `2h`.
///
/// # Errors
/// What it must look like.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(super::words::now().minus_ms(span.ms));
    }
    let what = "must be like 2026-01-31T12:00:00Z, or a span before now like 2h";
    protocol::time::read(text).map_err(|_| what.to_owned())
}

/// Reads `key=value`.
///
/// # Errors
/// What it must look like.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be like team=blue".to_owned()),
    }
}

/// Puts labels together.
///
/// # Errors
/// A [`Failure`] when a key stands twice.
pub fn labels(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut labels = BTreeMap::new();
    for (key, value) in pairs {
        if labels.contains_key(&key) {
            return Err(Failure::usage(format!("--label {key} stands twice")));
        }
        labels.insert(key, value);
    }
    Ok(labels)
}

/// Finds an agent by its id or its name.
///
/// # Errors
/// A [`Failure`] when there is none, or the hive cannot say.
pub async fn agent(client: &Client, asked: &str) -> Result<AgentId, Failure> {
    if let Ok(id) = asked.parse() {
        return Ok(id);
    }
    let mut query = PageQuery { limit: Some(LIMIT_MAX), cursor: None };
    loop {
        let page = client.agents(&query).await?.into_value();
        if let Some(agent) = page.items.iter().find(|agent| agent.name == asked) {
            return Ok(agent.id);
        }
        if page.next_cursor.is_none() {
            return Err(Failure::new(Exit::NotFound, format!("no agent is called {asked:?}"))
                .hint("`hive agent list` shows all agents"));
        }
        query.cursor = page.next_cursor;
    }
}

/// Finds an API key by its id or its name.
///
/// # Errors
/// A [`Failure`] when there is none, or the hive cannot say.
pub async fn api_key(client: &Client, asked: &str) -> Result<ApiKeyId, Failure> {
    if let Ok(id) = asked.parse() {
        return Ok(id);
    }
    let mut query = PageQuery { limit: Some(LIMIT_MAX), cursor: None };
    loop {
        let page = client.api_keys(&query).await?.into_value();
        if let Some(key) = page.items.iter().find(|key| key.name == asked) {
            return Ok(key.id);
        }
        if page.next_cursor.is_none() {
            return Err(Failure::new(Exit::NotFound, format!("no API key is called {asked:?}"))
                .hint("`hive auth key list` shows all keys"));
        }
        query.cursor = page.next_cursor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_comes_from_the_flag_a_file_or_stdin_and_stays_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, "{\"b\": 1.0,\n \"a\":2}\n").unwrap();
        let none = std::io::empty();
        assert_eq!(json("--input", "[1,  2]", none).unwrap().get(), "[1,  2]");
        assert_eq!(
            json("--input", &format!("@{}", path.display()), none).unwrap().get(),
            "{\"b\": 1.0,\n \"a\":2}"
        );
        assert_eq!(json("--input", "-", "\"from stdin\"\n".as_bytes()).unwrap().get(), "\"from stdin\"");
    }

    #[test]
    fn what_is_not_json_is_refused_before_it_travels() {
        for (asked, stdin) in [("hello", ""), ("-", ""), ("-", "{\"a\":1} {"), ("", ""), ("@/nowhere", "")] {
            let failure = json("--input", asked, stdin.as_bytes()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{asked:?} {stdin:?}");
        }
        let failure = json("--input", "-", &[0xff][..]).unwrap_err();
        assert!(failure.message.starts_with("cannot read stdin: "), "{failure}");
    }

    #[test]
    fn an_endless_stdin_is_cut_off() {
        let failure = json("--input", "-", std::io::repeat(b'1')).unwrap_err();
        assert!(failure.message.contains("larger than the 16 MiB"), "{failure}");
    }

    #[test]
    fn a_moment_is_rfc_3339_or_a_span_before_now() {
        let read = |text: &str| moment(text).map(|at| at.as_micros());
        assert_eq!(read("1970-01-01T01:00:01+01:00"), Ok(1_000_000));
        let before = super::super::words::now();
        let at = moment("2h").unwrap();
        assert!(at.plus_ms(7_200_000) >= before && at < before, "{at:?} {before:?}");
        for bad in ["", "yesterday", "2026-01-31", "2", "-2h"] {
            assert!(moment(bad).unwrap_err().contains("a span before now like 2h"), "{bad:?}");
        }
    }

    #[test]
    fn labels_are_pairs_and_each_key_stands_once() {
        assert_eq!(label("team=a=b"), Ok(("team".into(), "a=b".into())));
        assert!(label("team").is_err() && label("=x").is_err());
        let twice = vec![("k".to_owned(), "1".to_owned()), ("k".to_owned(), "2".to_owned())];
        assert_eq!(labels(twice).unwrap_err().message, "--label k stands twice");
    }
}
