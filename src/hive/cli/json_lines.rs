//! Files with a JSON object a line, read in parts that fit into one request.

use std::io::{BufRead, BufReader, IsTerminal, Lines};

use domain::limits;
use serde::de::DeserializeOwned;

use super::Context;
use crate::failure::Failure;

/// Bytes of one request; the server takes 16 MiB, and what is written anew may be a little longer than it was read.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// What the lines of a file are.
#[derive(Debug, Clone, Copy)]
pub struct Sort {
    /// One of them, like `task`.
    pub one: &'static str,
    /// What one looks like.
    pub example: &'static str,
}

/// A file that is being read.
pub struct JsonLines<T> {
    lines: Lines<Box<dyn BufRead>>,
    name: String,
    sort: Sort,
    /// How many lines were read.
    count: usize,
    /// What was read and did not fit into the part before.
    next: Option<(T, usize, usize)>,
}

/// Lines that go into one request.
pub struct Part<T> {
    /// What they say.
    pub items: Vec<T>,
    /// Where each stands in the file, from 1.
    pub lines: Vec<usize>,
}

impl<T: DeserializeOwned> JsonLines<T> {
    /// Opens a file, or stdin with `-`.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot be opened.
    pub fn open(file: &str, sort: Sort, context: &mut Context) -> Result<Self, Failure> {
        let reader: Box<dyn BufRead> = if file == "-" {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                let note = format!("reading {}s from the terminal, one a line; Ctrl-D ends it", sort.one);
                context.screen.note(&note);
            }
            Box::new(BufReader::new(stdin))
        } else {
            let file = std::fs::File::open(file)
                .map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
            Box::new(BufReader::new(file))
        };
        Ok(Self { lines: reader.lines(), name: file.to_owned(), sort, count: 0, next: None })
    }

    /// The next lines that fit into one request; `None` at the end. Empty lines are left out.
    ///
    /// # Errors
    /// A [`Failure`] when a line cannot be read or is not what it should be.
    pub fn part(&mut self) -> Result<Option<Part<T>>, Failure> {
        let (mut part, mut bytes) = (Part { items: Vec::new(), lines: Vec::new() }, 0);
        loop {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self.line()?,
            };
            let Some((item, number, length)) = next else { break };
            let is_full = part.items.len() >= limits::BULK_ITEMS_MAX
                || !part.items.is_empty() && bytes + length > REQUEST_BYTES_MAX;
            if is_full {
                self.next = Some((item, number, length));
                break;
            }
            part.items.push(item);
            part.lines.push(number);
            bytes += length;
        }
        Ok((!part.items.is_empty()).then_some(part))
    }

    /// The next line that is not empty: what it says, its number and its length.
    fn line(&mut self) -> Result<Option<(T, usize, usize)>, Failure> {
        for line in self.lines.by_ref() {
            self.count = self.count.saturating_add(1);
            let line = line.map_err(|error| Failure::usage(format!("cannot read {}: {error}", self.name)))?;
            if line.trim().is_empty() {
                continue;
            }
            let item = serde_json::from_str(&line).map_err(|error| {
                Failure::usage(format!(
                    "line {} of {} is no {}: {error}",
                    self.count, self.name, self.sort.one
                ))
                .hint(format!("each line is an object like {}", self.sort.example))
            })?;
            return Ok(Some((item, self.count, line.len())));
        }
        Ok(None)
    }
}
