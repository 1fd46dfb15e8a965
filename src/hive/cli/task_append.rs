//! `hive task append`: appends to what an attempt wrote.

use std::io::Read;

use clap::Args;
use domain::{TaskId, limits};
use protocol::OutputRequest;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::APPEND)]
pub struct TaskAppend {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The attempt that the assignment named
    #[arg(long, value_name = "N")]
    attempt: u32,
    /// The text, or - for all of stdin, as it comes
    #[arg(value_name = "TEXT|-", allow_hyphen_values = true)]
    text: String,
}

impl TaskAppend {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut is_truncated = false;
        if self.text == "-" {
            let mut pieces = Pieces::default();
            loop {
                // on a thread of its own: the connection is looked after meanwhile
                let read = tokio::task::spawn_blocking(move || pieces.read(std::io::stdin().lock()));
                let (text, rest, is_end) = read.await.map_err(|error| Failure::surroundings(&error))??;
                pieces = rest;
                is_truncated |= self.append(context, &text).await?;
                if is_end {
                    break;
                }
            }
        } else {
            is_truncated = self.append(context, &self.text).await?;
        }
        if is_truncated && !context.screen.is_json() {
            context.screen.note("some of it was cut: the attempt wrote more than the hive keeps");
        }
        Ok(Exit::Fine)
    }

    /// Appends a text, in pieces as large as the hive takes; answers whether it cut some of it.
    async fn append(&self, context: &mut Context, text: &str) -> Result<bool, Failure> {
        let (mut rest, mut is_truncated) = (text, false);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(limits::OUTPUT_CHUNK_BYTES_MAX));
            let asked = OutputRequest { attempt: self.attempt, text: piece.to_owned(), after_bytes: None };
            let answer = context.client.append_output(self.id, &asked).await?;
            if context.screen.is_json() {
                context.screen.line(answer.text())?;
            }
            is_truncated |= answer.truncated;
            rest = after;
        }
        Ok(is_truncated)
    }
}

/// Reads text piece by piece. What is no UTF-8, and U+0000, becomes U+FFFD, as in the output of processes.
#[derive(Debug, Default)]
struct Pieces {
    /// Bytes that may be the beginning of a letter.
    rest: Vec<u8>,
}

impl Pieces {
    /// What there is now, at most 64 KiB; answers itself, and whether it was the last piece.
    fn read(mut self, mut source: impl Read) -> Result<(String, Self, bool), Failure> {
        let mut bytes = vec![0; limits::OUTPUT_CHUNK_BYTES_MAX];
        let count = loop {
            match source.read(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = count.map_err(|error| Failure::usage(format!("cannot read stdin: {error}")))?;
        self.rest.extend(bytes.into_iter().take(count));
        let kept = if count == 0 { self.rest.len() } else { whole(&self.rest) };
        let after = self.rest.split_off(kept);
        let text = String::from_utf8_lossy(&self.rest).replace('\0', "\u{fffd}");
        Ok((text, Self { rest: after }, count == 0))
    }
}

/// How many of these bytes stand before a letter that has only begun.
fn whole(bytes: &[u8]) -> usize {
    let Some(back) = bytes.iter().rev().take(3).position(|byte| *byte >= 0xc0) else { return bytes.len() };
    let place = bytes.len().saturating_sub(back + 1);
    let tail = bytes.get(place..).unwrap_or_default();
    if std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none()) {
        place
    } else {
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: &[&[u8]]) -> Vec<String> {
        let (mut pieces, mut read) = (Pieces::default(), Vec::new());
        for piece in source.iter().chain([&&[][..]]) {
            let (text, rest, is_end) = pieces.read(*piece).unwrap();
            assert_eq!(is_end, piece.is_empty());
            pieces = rest;
            read.push(text);
        }
        read
    }

    #[test]
    fn a_letter_that_comes_in_two_pieces_stays_whole() {
        let bee = "\u{1f41d}".as_bytes();
        let (head, tail) = bee.split_at(2);
        assert_eq!(pieces(&[&[b"a", head].concat(), &[tail, b"b"].concat()]), ["a", "\u{1f41d}b", ""]);
        assert_eq!(pieces(&[bee, "ä".as_bytes()]), ["\u{1f41d}", "ä", ""]);
    }

    #[test]
    fn what_is_no_text_is_replaced_and_holds_nothing_back() {
        assert_eq!(pieces(&[b"a\0b\xff\xfe", b"c"]), ["a\u{fffd}b\u{fffd}\u{fffd}", "c", ""]);
        assert_eq!(
            pieces(&[b"cut \xf0\x9f"]),
            ["cut ", "\u{fffd}"],
            "the end comes before the letter is whole"
        );
    }
}
