//! The stream of `claude -p --output-format stream-json --verbose`: one JSON object a line, the last one the result.

use domain::Usage;
use serde_json::Value;

use crate::result::fit::Answer;
use crate::result::lines::Lines;
use crate::result::stream::{kind_of, no_answer, number, text};
use crate::result::{AGENT_ERROR, Failure};

/// Answers of the endpoint that stay the same however often one asks: the request itself is wrong.
const HOPELESS_STATUSES: [u64; 4] = [400, 404, 413, 422];

/// Reads the stream; keeps what its result message says.
#[derive(Debug, Default)]
pub(super) struct Claude {
    lines: Lines,
    answer: Option<Answer>,
}

impl Claude {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes, |line| read(line, &mut self.answer));
    }

    pub(super) fn finish(mut self) -> Result<Answer, Failure> {
        let skipped_count = self.lines.finish(|line| read(line, &mut self.answer));
        self.answer.ok_or_else(|| no_answer("a message of type `result`", skipped_count))
    }
}

fn read(line: &[u8], answer: &mut Option<Answer>) {
    if kind_of(line).as_deref() != Some("result") {
        return;
    }
    let Ok(result) = serde_json::from_slice::<Value>(line) else { return };
    *answer = Some(Answer {
        text: text(&result, "/result").unwrap_or_default(),
        session_id: text(&result, "/session_id"),
        turns: number(&result, "/num_turns"),
        duration_ms: number(&result, "/duration_ms"),
        usage: Some(usage(&result)),
        failure: failure(&result),
    });
}

/// What the model read from or wrote to its cache is input too, and told apart here.
fn usage(result: &Value) -> Usage {
    let input =
        ["/usage/input_tokens", "/usage/cache_creation_input_tokens", "/usage/cache_read_input_tokens"];
    Usage {
        input_tokens: input.into_iter().filter_map(|path| number(result, path)).reduce(u64::saturating_add),
        output_tokens: number(result, "/usage/output_tokens"),
        cost_usd: result.pointer("/total_cost_usd").and_then(Value::as_f64),
        ..Usage::default()
    }
}

/// `is_error` counts, whatever the subtype says: an answer of the endpoint comes as `success` with `is_error`.
fn failure(result: &Value) -> Option<Failure> {
    let is_error = result.pointer("/is_error").and_then(Value::as_bool).unwrap_or_default();
    if !is_error {
        return None;
    }
    let errors = result.pointer("/errors").and_then(Value::as_array);
    let errors = errors.map(|errors| errors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "));
    let is_said = |message: &String| !message.is_empty();
    let message = text(result, "/result")
        .filter(is_said)
        .or(errors.filter(is_said))
        .or_else(|| text(result, "/subtype"))
        .unwrap_or_else(|| "the agent says that it failed, and not why".to_owned());
    let status = number(result, "/api_error_status");
    let is_hopeless = status.is_some_and(|status| HOPELESS_STATUSES.contains(&status));
    Some(Failure { kind: AGENT_ERROR, message, is_retryable: !is_hopeless })
}
