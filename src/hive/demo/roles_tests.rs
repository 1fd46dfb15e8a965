//! Tests of the roles: the shipped scripts, run by a shell as the hive would, give what is computed here.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::*;
use crate::demo::shipped;

/// Runs a role's script for a job; `end` is what stands behind the prompt on standard input and in the file.
fn ran(folder: &Path, role: &Role, job: &Job, attempt: u32, end: &str) -> Output {
    let told = format!("{}{end}", job.prompt);
    let prompt_file = folder.join("prompt");
    std::fs::write(&prompt_file, &told).unwrap();
    let mut command = Command::new("sh");
    command.arg(folder.join(shipped::AGENTS).join(role.script));
    if role.prompt == PromptVia::Argument {
        command.arg(&job.prompt);
    }
    command
        .current_dir(folder.join(shipped::OFFICE))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HIVE_ATTEMPT", attempt.to_string()).env("HIVE_PROMPT_FILE", prompt_file);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if role.prompt == PromptVia::Stdin {
        child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
    }
    child.wait_with_output().unwrap()
}

fn result(role: &Role, stdout: &str) -> Value {
    match role.result {
        ResultFormat::JsonLast => serde_json::from_str(stdout.lines().last().unwrap()).unwrap(),
        _ => text_result(stdout),
    }
}

#[test]
fn every_script_gives_what_is_computed_here_also_when_its_prompt_has_no_line_break() {
    let folder = tempfile::tempdir().unwrap();
    shipped::lay_out(folder.path()).unwrap();
    for role in &ROLES {
        let jobs = (role.jobs)();
        assert!(jobs.len() >= 10, "{} has {} tasks only", role.name, jobs.len());
        for (job, end) in jobs.iter().zip(["", "\n"].into_iter().cycle()) {
            let output = ran(folder.path(), role, job, 2, end);
            let told = String::from_utf8(output.stdout).unwrap();
            let noted = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success() && noted.is_empty(), "{}: {told}{noted}", job.title);
            assert_eq!(result(role, &told), job.expected, "{}", job.title);
        }
    }
}

#[test]
fn a_task_that_stumbles_kills_itself_in_its_first_attempt_after_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    shipped::lay_out(folder.path()).unwrap();
    let stumbling: Vec<_> = ROLES
        .iter()
        .flat_map(|role| (role.jobs)().into_iter().map(move |job| (role, job)))
        .filter(|(_, job)| job.stumbles)
        .collect();
    assert_eq!(stumbling.len(), 3);
    for (role, job) in stumbling {
        let output = ran(folder.path(), role, &job, 1, "");
        assert_eq!(output.status.signal(), Some(9), "{}", job.title);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.ends_with(&format!("{}\n", integration::LAST_WORDS)), "{told}");
    }
}

#[test]
fn a_script_fails_where_there_is_nothing_to_work_on() {
    let folder = tempfile::tempdir().unwrap();
    shipped::lay_out(folder.path()).unwrap();
    for role in &ROLES {
        let job = Job {
            title: "nothing".to_owned(),
            prompt: "nothing".to_owned(),
            expected: Value::Null,
            stumbles: false,
        };
        let output = ran(folder.path(), role, &job, 1, "");
        assert_eq!(output.status.code(), Some(3), "{}", role.name);
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("there is no"), "{}", role.name);
    }
}

#[test]
fn titles_and_prompts_differ_within_a_role() {
    for role in &ROLES {
        let jobs = (role.jobs)();
        for (place, job) in jobs.iter().enumerate() {
            let same = jobs
                .iter()
                .skip(place + 1)
                .find(|other| other.title == job.title || other.prompt == job.prompt);
            assert_eq!(same, None, "{}", role.name);
        }
    }
}
