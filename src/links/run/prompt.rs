//! What a process is told to do: the task's input, or its title.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A prompt in a file beside the attempt's record, which goes when it is dropped.
pub(super) struct PromptFile {
    path: PathBuf,
}

impl PromptFile {
    /// Where the prompt is of the attempt with this record.
    pub(super) fn path(record: &Path) -> PathBuf {
        record.with_extension("prompt")
    }

    /// Writes it, for nobody else's eyes.
    pub(super) fn write(record: &Path, prompt: &str) -> io::Result<Self> {
        let file = Self { path: Self::path(record) };
        let mut options = OpenOptions::new();
        let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(&file.path)?;
        opened.write_all(prompt.as_bytes())?;
        Ok(file)
    }
}

impl Drop for PromptFile {
    fn drop(&mut self) {
        // one that stays goes at the next start
        let _ = fs::remove_file(&self.path);
    }
}

/// The text for a task: input that is a text; the `prompt` of an object; any other input as JSON; without input the title.
pub(super) fn prompt(title: &str, input: Option<&str>) -> String {
    let Some(input) = input else { return title.to_owned() };
    match serde_json::from_str(input) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(mut fields)) => match fields.remove("prompt") {
            Some(Value::String(text)) => text,
            _ => input.to_owned(),
        },
        // byte for byte as it was handed in
        _ => input.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_the_text_of_the_input_and_otherwise_the_title() {
        for (input, expected) in [
            (None, "Say hello"),
            (Some(r#""a \"text\"\n""#), "a \"text\"\n"),
            (Some(r#"{"prompt": "do this", "more": 1}"#), "do this"),
            (Some(r#"{"prompt": {"no": "text"}}"#), r#"{"prompt": {"no": "text"}}"#),
            (Some(r#"{"a":  12345678901234567890123}"#), r#"{"a":  12345678901234567890123}"#),
            (Some("[1, 2]"), "[1, 2]"),
            (Some("null"), "null"),
        ] {
            assert_eq!(prompt("Say hello", input), expected);
        }
    }
}
