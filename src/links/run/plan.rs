//! What runs for an assignment: words, environment, folder and prompt, before anything does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::{ProcessLink, PromptVia, Secret};

use super::prompt::prompt;
use crate::attempt::Assignment;
use crate::guard::words::Order;
use crate::leftovers::MARK;
use crate::umask;

/// Names and values; those that are no text are left out.
pub(super) type Environment = BTreeMap<String, String>;

/// What every process takes from the hive's environment, beside `LC_*`.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"];
/// The word that the prompt takes the place of.
const PROMPT_WORD: &str = "{prompt}";
/// The word that the path of the file with the prompt takes the place of.
const PROMPT_FILE_WORD: &str = "{prompt_file}";
/// Longest argument that Linux takes, in bytes (`MAX_ARG_STRLEN`), less the closing zero.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// What an attempt has of its own.
pub(super) struct Surroundings<'a> {
    /// The program's file.
    pub(super) program: PathBuf,
    /// The attempt's mark.
    pub(super) mark: &'a str,
    /// Its workspace.
    pub(super) workspace: &'a Path,
    /// Where its prompt is, if the link wants it in a file.
    pub(super) prompt_file: &'a Path,
}

/// The environment of this process.
pub(super) fn hive_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What a link's process sees of the hive's environment, and its own values over it.
pub(super) fn environment(hive: &Environment, link: &ProcessLink) -> Environment {
    let is_passed =
        |name: &str| INHERITED.contains(&name) || name.starts_with("LC_") || link.inherit_env.contains(name);
    let passed = hive.iter().filter(|(name, _)| is_passed(name));
    let own = link.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    passed.map(|(name, value)| (name.clone(), value.clone())).chain(own).collect()
}

/// What must not be seen in anything that the process prints: its own values, and those it was given by name.
pub(super) fn secrets(hive: &Environment, link: &ProcessLink) -> Vec<Secret> {
    let inherited = link.inherit_env.iter().filter(|name| !INHERITED.contains(&name.as_str()));
    let inherited = inherited.filter_map(|name| hive.get(name)).map(Secret::new);
    link.env.values().cloned().chain(inherited).collect()
}

/// The prompt of an assignment. A failure is a sentence for people.
pub(super) fn prompt_of(assignment: &Assignment) -> Result<String, String> {
    let text = prompt(&assignment.title, assignment.input.as_deref());
    if assignment.link.prompt != PromptVia::Argument {
        return Ok(text);
    }
    if text.len() > ARGUMENT_BYTES_MAX {
        return Err(format!(
            "the prompt has {} bytes, and an argument takes {ARGUMENT_BYTES_MAX}; let the agent read it from stdin or a file",
            text.len()
        ));
    }
    // an argument ends at its first U+0000
    Ok(text.replace('\0', "\u{fffd}"))
}

/// The order for the guard's second stage.
pub(super) fn order(
    assignment: &Assignment,
    hive: &Environment,
    prompt: String,
    surroundings: Surroundings<'_>,
) -> Order {
    let Surroundings { program, mark, workspace, prompt_file } = surroundings;
    let link = &assignment.link;
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let mut env = environment(hive, link);
    env.extend([
        ("HIVE_TASK_ID".to_owned(), assignment.task.to_string()),
        ("HIVE_ATTEMPT".to_owned(), assignment.attempt.to_string()),
        ("HIVE_AGENT".to_owned(), assignment.agent_name.to_string()),
        ("HIVE_WORKSPACE".to_owned(), shown(workspace)),
        (MARK.to_owned(), mark.to_owned()),
    ]);
    let mut words: Vec<String> = link.command.iter().chain(&link.args).cloned().collect();
    let input = match link.prompt {
        PromptVia::Stdin => Some(prompt),
        PromptVia::Argument => {
            fill(&mut words, PROMPT_WORD, prompt);
            None
        }
        PromptVia::File => {
            fill(&mut words, PROMPT_FILE_WORD, shown(prompt_file));
            env.insert("HIVE_PROMPT_FILE".to_owned(), shown(prompt_file));
            None
        }
    };
    // an absolute folder replaces the workspace
    let folder = link.cwd.as_ref().map_or_else(|| workspace.to_owned(), |cwd| workspace.join(cwd));
    let umask = umask::of_others().map(|mode| mode.bits());
    Order { program, words, env, folder, input, limits: link.limits, umask }
}

/// Puts a text in place of each word `place` after the program; behind the last word when there is none.
fn fill(words: &mut Vec<String>, place: &str, text: String) {
    let mut is_placed = false;
    for word in words.iter_mut().skip(1).filter(|word| word.as_str() == place) {
        word.clone_from(&text);
        is_placed = true;
    }
    if !is_placed {
        words.push(text);
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
