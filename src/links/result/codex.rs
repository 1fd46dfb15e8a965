//! The stream of `codex exec --json`: one JSON object a line; a turn ends with `turn.completed` or `turn.failed`.

use domain::Usage;
use serde_json::Value;

use crate::result::fit::Answer;
use crate::result::lines::Lines;
use crate::result::stream::{kind_of, no_answer, number, text};
use crate::result::{AGENT_ERROR, Failure};

/// Reads the stream; keeps the last message of the agent and how its last turn ended.
#[derive(Debug, Default)]
pub(super) struct Codex {
    lines: Lines,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    answer: Answer,
    has_message: bool,
}

impl Codex {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes, |line| self.seen.read(line));
    }

    pub(super) fn finish(mut self) -> Result<Answer, Failure> {
        let skipped_count = self.lines.finish(|line| self.seen.read(line));
        if self.seen.has_message || self.seen.answer.failure.is_some() {
            Ok(self.seen.answer)
        } else {
            Err(no_answer("a message of the agent", skipped_count))
        }
    }
}

impl Seen {
    /// `error` alone means nothing: each attempt to connect again is one.
    fn read(&mut self, line: &[u8]) {
        let Some(kind) = kind_of(line) else { return };
        let parsed = || serde_json::from_slice::<Value>(line).unwrap_or_default();
        match kind.as_ref() {
            "thread.started" => self.answer.session_id = text(&parsed(), "/thread_id"),
            "item.completed" => self.read_item(&parsed()),
            "turn.completed" => {
                self.end_turn();
                self.answer.failure = None;
                self.answer.usage = Some(usage(&parsed()));
            }
            "turn.failed" => {
                self.end_turn();
                self.answer.failure = Some(failure(&parsed()));
            }
            _ => {}
        }
    }

    fn read_item(&mut self, line: &Value) {
        let is_message = text(line, "/item/type").as_deref() == Some("agent_message");
        if let Some(message) = text(line, "/item/text").filter(|_| is_message) {
            self.answer.text = message;
            self.has_message = true;
        }
    }

    fn end_turn(&mut self) {
        self.answer.turns = Some(self.answer.turns.unwrap_or_default() + 1);
    }
}

/// The sums of the thread so far; what came from the cache is part of the input. Money is not told.
fn usage(line: &Value) -> Usage {
    Usage {
        input_tokens: number(line, "/usage/input_tokens"),
        output_tokens: number(line, "/usage/output_tokens"),
        ..Usage::default()
    }
}

fn failure(line: &Value) -> Failure {
    let said = text(line, "/error/message").filter(|message| !message.is_empty());
    let said = said.unwrap_or_else(|| "the agent says that its turn failed, and not why".to_owned());
    // The endpoint's answer comes as it is: its JSON as text.
    let Ok(answer) = serde_json::from_str::<Value>(&said) else {
        return Failure { kind: AGENT_ERROR, message: said, is_retryable: true };
    };
    let is_hopeless = text(&answer, "/error/type").as_deref() == Some("invalid_request_error");
    let message = text(&answer, "/error/message").unwrap_or(said);
    Failure { kind: AGENT_ERROR, message, is_retryable: !is_hopeless }
}
