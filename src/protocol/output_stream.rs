//! Output that is followed while it is written: server-sent events, source:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::fmt;
use std::str::FromStr;

use domain::TaskState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::OutputView;

/// The media type of a stream of events.
pub const MEDIA_TYPE: &str = "text/event-stream";
/// What is sent when there is nothing to say, so that both sides see that the other is there.
pub const BEAT: &str = ":\n\n";

const OUTPUT: &str = "output";
const END: &str = "end";

/// A place in the output of a task: an attempt and a piece of it, like `2.17`. Cursor of a page, id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct OutputPlace {
    /// Which attempt; 0 is before the first.
    pub attempt: u32,
    /// Which of its pieces; 0 is before the first.
    pub chunk: u32,
}

/// Why a text is not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct NotAPlace;

impl fmt::Display for OutputPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.attempt, self.chunk)
    }
}

impl FromStr for OutputPlace {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (attempt, chunk) = text.split_once('.').ok_or(NotAPlace)?;
        let read = |part: &str| part.parse().map_err(|_| NotAPlace);
        Ok(Self { attempt: read(attempt)?, chunk: read(chunk)? })
    }
}

impl OutputView {
    /// Its place.
    #[must_use]
    pub const fn place(&self) -> OutputPlace {
        OutputPlace { attempt: self.attempt, chunk: self.chunk }
    }
}

/// What is told at the end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputEnd {
    /// How the task ended.
    #[schema(value_type = String, pattern = "^(completed|failed|canceled)$")]
    pub state: TaskState,
}

/// One event of a stream of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEvent {
    /// A piece of output.
    Output(OutputView),
    /// The task is terminal, and everything that it wrote was sent.
    End(OutputEnd),
}

impl OutputEvent {
    /// Appends it in the form of the stream. JSON has no line breaks of its own, so that each event has one line of it.
    ///
    /// # Errors
    /// Never for what the hive stores; what the serializer says.
    pub fn write(&self, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Output(view) => {
                into.extend_from_slice(format!("event: {OUTPUT}\nid: {}\ndata: ", view.place()).as_bytes());
                serde_json::to_writer(&mut *into, view)?;
            }
            Self::End(end) => {
                into.extend_from_slice(format!("event: {END}\ndata: ").as_bytes());
                serde_json::to_writer(&mut *into, end)?;
            }
        }
        into.extend_from_slice(b"\n\n");
        Ok(())
    }

    /// Reads what came under the name of an event; `None` for a name that is not of the contract.
    ///
    /// # Errors
    /// When it is not the JSON that belongs to the name.
    pub fn read(name: &str, json: &str) -> Result<Option<Self>, serde_json::Error> {
        match name {
            OUTPUT => serde_json::from_str(json).map(|view| Some(Self::Output(view))),
            END => serde_json::from_str(json).map(|end| Some(Self::End(end))),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    #[test]
    fn a_place_is_an_attempt_and_a_chunk() {
        let place = OutputPlace { attempt: 2, chunk: 17 };
        assert_eq!((place.to_string().as_str(), "2.17".parse()), ("2.17", Ok(place)));
        for bad in ["", "2", "2.", ".1", "2.x", "-1.1", "1.2.3"] {
            assert_eq!(bad.parse::<OutputPlace>(), Err(NotAPlace), "{bad}");
        }
    }

    #[test]
    fn an_event_is_three_lines_and_an_empty_one_whatever_the_text_holds() {
        let text = "a\r\nb\n\ndata: x\u{2028}\u{0}".to_owned();
        let view = OutputView { attempt: 1, chunk: 3, at: Timestamp::ZERO, text, truncated: false };
        let mut written = Vec::new();
        OutputEvent::Output(view.clone()).write(&mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        let lines: Vec<&str> = written.split('\n').collect();
        assert_eq!((lines.len(), lines[0], lines[1]), (5, "event: output", "id: 1.3"), "{written}");
        let json = lines[2].strip_prefix("data: ").unwrap();
        assert_eq!(OutputEvent::read("output", json).unwrap(), Some(OutputEvent::Output(view)));
        assert!(!json.contains('\r'), "{json}");
        let mut end = Vec::new();
        OutputEvent::End(OutputEnd { state: TaskState::Failed }).write(&mut end).unwrap();
        assert_eq!(String::from_utf8(end).unwrap(), "event: end\ndata: {\"state\":\"failed\"}\n\n");
        assert_eq!(OutputEvent::read("bogus", "{}").unwrap(), None);
    }
}
