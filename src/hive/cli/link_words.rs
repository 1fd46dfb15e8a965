//! How a process link reads: its command as a shell would take it, its workspace and its limits in words.

use domain::{PromptVia, ResultFormat};
use protocol::{LinkLimits, LinkWorkspace, ProcessLinkView};

use super::size;
use super::words::{count, span_ms};

/// Command and arguments in one line, quoted where a shell needs quotes.
#[must_use]
pub fn command(link: &ProcessLinkView) -> String {
    let words = link.command.iter().chain(&link.args);
    words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| {
        letter.is_alphanumeric()
            || matches!(letter, '-' | '_' | '.' | '/' | '=' | ':' | ',' | '@' | '%' | '+')
    };
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How it gets its task.
#[must_use]
pub const fn prompt(prompt: PromptVia) -> &'static str {
    match prompt {
        PromptVia::Stdin => "on stdin",
        PromptVia::Argument => "as an argument",
        PromptVia::File => "in a file",
    }
}

/// How its result is read.
#[must_use]
pub const fn result(result: ResultFormat) -> &'static str {
    match result {
        ResultFormat::Text => "all that it prints",
        ResultFormat::JsonLast => "the last JSON that it prints",
        ResultFormat::ClaudeStreamJson => "the last message of claude's stream-json",
        ResultFormat::CodexJson => "the last message of codex's JSON",
    }
}

/// Where it works.
#[must_use]
pub fn workspace(workspace: &LinkWorkspace) -> String {
    match (&workspace.repository, &workspace.path) {
        (Some(repository), _) => {
            let base = workspace.base.as_deref().unwrap_or("HEAD");
            let keep = match workspace.keep.unwrap_or_default() {
                domain::Keep::Always => "kept always",
                domain::Keep::Changed => "kept when changed",
                domain::Keep::Never => "never kept",
            };
            format!("a git worktree of {repository} from {base}, {keep}")
        }
        (None, Some(path)) => format!("the folder {path}, one task at a time"),
        (None, None) => "an empty folder for each task".to_owned(),
    }
}

/// What one attempt may use; `None` without any limit.
#[must_use]
pub fn limits(limits: &LinkLimits) -> Option<String> {
    let parts = [
        limits.cpu_ms.map(|ms| format!("{} of CPU", span_ms(ms))),
        limits.memory_bytes.map(|bytes| format!("{} of memory", size::in_words(bytes))),
        limits.file_bytes.map(|bytes| format!("files of {}", size::in_words(bytes))),
        limits.open_files.map(|files| format!("{} open files", count(files))),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_where_a_shell_needs_it() {
        let read = |words: &[&str]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        assert_eq!(read(&["claude", "-p", "--x=/a,b:c"]), "claude -p --x=/a,b:c");
        assert_eq!(read(&["sh", "-c", "echo it's $X", ""]), r"sh -c 'echo it'\''s $X' ''");
    }

    #[test]
    fn limits_are_told_in_their_units() {
        assert_eq!(limits(&LinkLimits::default()), None);
        let some = LinkLimits {
            cpu_ms: Some(90_000),
            memory_bytes: Some(2 << 30),
            file_bytes: None,
            open_files: Some(1_024),
        };
        let told = limits(&some);
        assert_eq!(told.as_deref(), Some("1 min 30 s of CPU, 2 GiB of memory, 1,024 open files"));
    }
}
