//! Reads the result of an attempt from what its process printed, and says why there is none.
//!
//! ```text
//!   stdout --> Stdout: Text | JsonLast | Claude | Codex --.
//!   stderr --> Ring (the last lines)  --------------------+-- finish(exit) --> Report
//! ```
//!
//! Invariant: memory is bounded by the constants and the limit here, whatever is printed, also without any line end.

mod claude;
mod codex;
mod fit;
mod json_last;
mod last_words;
mod lines;
mod signal;
mod stream;
mod text;

use domain::attempt::ERROR_MESSAGE_BYTES_MAX;
use domain::{AttemptError, Report, ResultFormat, Secret, Usage};

use crate::output::mask::Mask;
use crate::output::ring::Ring;
use crate::preset::Preset;
use crate::result::claude::Claude;
use crate::result::codex::Codex;
use crate::result::fit::Answer;
use crate::result::json_last::JsonLast;
use crate::result::last_words::{LastWords, legible};
use crate::result::text::Text;

/// The kind of error for what an agent says of its own failure.
const AGENT_ERROR: &str = "agent_error";
/// The kind of error for output that holds no result.
const NO_RESULT: &str = "no_result";

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Reads what one process prints, and makes its report.
#[derive(Debug)]
pub struct ResultReader {
    stdout: Stdout,
    result_bytes_max: usize,
    mask: Mask,
    last_stdout: Ring,
    last_stderr: Ring,
}

#[derive(Debug)]
enum Stdout {
    Text(Text),
    JsonLast(JsonLast),
    Claude(Claude),
    Codex(Codex),
}

/// What the formats find: a result as JSON, or why there is none.
struct Found {
    result: Result<String, Failure>,
    usage: Option<Usage>,
}

/// Why there is no result.
#[derive(Debug)]
struct Failure {
    /// The kind of error that it is reported as.
    kind: &'static str,
    /// What the agent, or the hive, says of it.
    message: String,
    /// Whether trying again may help.
    is_retryable: bool,
}

impl ResultReader {
    /// For results of at most `result_bytes_max` bytes of JSON, of a process that knows these secrets.
    #[must_use]
    pub fn new(format: ResultFormat, result_bytes_max: usize, secrets: &[Secret]) -> Self {
        let stdout = match format {
            ResultFormat::Text => Stdout::Text(Text::new(result_bytes_max)),
            ResultFormat::JsonLast => Stdout::JsonLast(JsonLast::new(result_bytes_max)),
            ResultFormat::ClaudeStreamJson => Stdout::Claude(Claude::default()),
            ResultFormat::CodexJson => Stdout::Codex(Codex::default()),
        };
        let mask = Mask::new(secrets);
        let (last_stdout, last_stderr) = (last_words::ring(&mask), last_words::ring(&mask));
        Self { stdout, result_bytes_max, mask, last_stdout, last_stderr }
    }

    /// Takes what came on standard output.
    pub fn push(&mut self, stdout: &[u8]) {
        self.last_stdout.push(stdout);
        match &mut self.stdout {
            Stdout::Text(text) => text.push(stdout),
            Stdout::JsonLast(json) => json.push(stdout),
            Stdout::Claude(claude) => claude.push(stdout),
            Stdout::Codex(codex) => codex.push(stdout),
        }
    }

    /// Takes what came on standard error, for messages.
    pub fn push_error(&mut self, stderr: &[u8]) {
        self.last_stderr.push(stderr);
    }

    /// The report: succeeded with a result, or failed with the reason. Values of secrets do not show in either.
    #[must_use]
    pub fn finish(self, exit: Exit, preset: Option<&Preset>) -> Report {
        let mask = self.mask;
        let last_words = LastWords::new(self.last_stdout, self.last_stderr, &mask);
        let found = match self.stdout {
            Stdout::Text(text) => text.finish(&mask),
            Stdout::JsonLast(json) => json.finish(&mask),
            Stdout::Claude(claude) => told(claude.finish(), self.result_bytes_max, &mask),
            Stdout::Codex(codex) => told(codex.finish(), self.result_bytes_max, &mask),
        };
        let usage = found.usage;
        match ended(exit, found.result, &last_words) {
            Ok(result) => Report::Succeeded { result: Some(result), usage },
            Err(failure) => failed(failure, preset, &last_words, usage),
        }
    }
}

/// The result, unless the process ended badly. What the agent itself says of its failure comes before the exit code.
fn ended(exit: Exit, result: Result<String, Failure>, last_words: &LastWords) -> Result<String, Failure> {
    let how = match (exit, result) {
        (Exit::Code(0), result) => return result,
        (Exit::Code(_), Err(failure)) if failure.kind == AGENT_ERROR => return Err(failure),
        (Exit::Code(code), _) => ("exit_code", format!("the command exited with {code}")),
        (Exit::Signal(number), _) => ("signal", format!("the command was ended by {}", signal::name(number))),
    };
    let (kind, sentence) = how;
    let complaint = last_words.complaint();
    let message = if complaint.is_empty() { sentence } else { format!("{sentence}: {complaint}") };
    Err(Failure { kind, message, is_retryable: true })
}

fn failed(failure: Failure, preset: Option<&Preset>, last_words: &LastWords, usage: Option<Usage>) -> Report {
    // An agent that tells of its failure says it there; what else it prints may speak of anything.
    let stdout = if failure.kind == AGENT_ERROR { "" } else { last_words.stdout() };
    let texts = [failure.message.as_str(), last_words.stderr(), stdout];
    let is_signed_out = |preset: &&Preset| {
        preset.signed_out.iter().any(|signed_out| texts.iter().any(|text| text.contains(signed_out.as_str())))
    };
    let Some(preset) = preset.filter(is_signed_out) else {
        let error = AttemptError::stated(failure.kind, failure.message);
        return Report::Failed { error, retryable: failure.is_retryable, usage };
    };
    let hint = preset.sign_in.as_deref().unwrap_or("sign it in as the user that runs the hive");
    let message = format!("{} is not signed in ({}); {hint}", preset.name, failure.message);
    Report::Failed { error: AttemptError::stated("not_signed_in", message), retryable: true, usage }
}

/// What an agent told in its own stream, as a result that fits.
fn told(answer: Result<Answer, Failure>, result_bytes_max: usize, mask: &Mask) -> Found {
    match answer {
        Err(failure) => Found { result: Err(failure), usage: None },
        Ok(mut answer) => {
            let usage = answer.usage.take();
            let result = match answer.failure.take() {
                Some(failure) => Err(Failure { message: short(&failure.message, mask), ..failure }),
                None => Ok(answer.into_json(result_bytes_max, mask)),
            };
            Found { result, usage }
        }
    }
}

/// A message that people can read: without secrets and control characters, and not longer than errors are kept.
fn short(message: &str, mask: &Mask) -> String {
    let mut message = mask.all_of(&legible(message));
    message.truncate(message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX));
    message
}

#[cfg(test)]
mod tests;
