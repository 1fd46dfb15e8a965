//! Tests of the plan.

use std::path::Path;

use domain::{AgentId, ProcessLink, TaskId};

use super::*;
use crate::attempt::OutputLimits;

fn hive() -> Environment {
    let pairs = [
        ("PATH", "/bin"),
        ("HOME", "/home/hive"),
        ("LC_ALL", "C.UTF-8"),
        ("AWS_SECRET_ACCESS_KEY", "hidden"),
        ("HIVE_TOKEN", "hidden"),
        ("OPENAI_API_KEY", "sk-inherited"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn link() -> ProcessLink {
    ProcessLink {
        command: ["tool", "--model", "large"].map(str::to_owned).into(),
        args: vec!["--fast".to_owned()],
        env: [("COLOR".to_owned(), Secret::new("blue"))].into(),
        ..ProcessLink::default()
    }
}

fn ordered(link: ProcessLink) -> Order {
    let assignment = Assignment {
        task: TaskId::from_raw(7),
        attempt: 2,
        agent: AgentId::from_raw(8),
        agent_name: "ada".parse().unwrap(),
        link,
        title: "Say hello".to_owned(),
        input: None,
        timeout_ms: None,
        limits: OutputLimits { output_bytes_max: 1 << 20, result_bytes_max: 1 << 20 },
    };
    let surroundings = Surroundings {
        program: PathBuf::from("/bin/tool"),
        mark: "m4rk",
        workspace: Path::new("/work"),
        prompt_file: Path::new("/records/1.prompt"),
    };
    let prompt = prompt_of(&assignment).unwrap();
    order(&assignment, &hive(), prompt, surroundings)
}

#[test]
fn the_environment_is_the_allowed_part_of_the_hives_then_its_own_then_who_it_is() {
    let mut link = link();
    link.inherit_env.insert("OPENAI_API_KEY".to_owned());
    link.env.insert("HOME".to_owned(), Secret::new("/elsewhere"));
    let env = ordered(link).env;
    let pairs: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let task = TaskId::from_raw(7).to_string();
    assert_eq!(
        pairs,
        [
            ("COLOR", "blue"),
            ("HIVE_AGENT", "ada"),
            ("HIVE_ATTEMPT", "2"),
            ("HIVE_PROCESS", "m4rk"),
            ("HIVE_TASK_ID", task.as_str()),
            ("HIVE_WORKSPACE", "/work"),
            ("HOME", "/elsewhere"),
            ("LC_ALL", "C.UTF-8"),
            ("OPENAI_API_KEY", "sk-inherited"),
            ("PATH", "/bin"),
        ]
    );
}

#[test]
fn what_was_given_is_secret_and_what_everybody_has_is_not() {
    let mut link = link();
    link.inherit_env.extend(["OPENAI_API_KEY".to_owned(), "HOME".to_owned(), "MISSING".to_owned()]);
    let secrets = secrets(&hive(), &link);
    let values: Vec<&str> = secrets.iter().map(Secret::reveal).collect();
    assert_eq!(values, ["blue", "sk-inherited"]);
}

#[test]
fn the_prompt_goes_where_the_link_wants_it() {
    let with = |prompt, args: &[&str]| {
        let args = args.iter().map(|word| (*word).to_owned()).collect();
        ordered(ProcessLink { prompt, args, ..link() })
    };
    let order = with(PromptVia::Stdin, &["{prompt}"]);
    assert_eq!(order.words, ["tool", "--model", "large", "{prompt}"]);
    assert_eq!(order.input.as_deref(), Some("Say hello"));

    let order = with(PromptVia::Argument, &["--fast"]);
    assert_eq!(order.words, ["tool", "--model", "large", "--fast", "Say hello"]);
    assert_eq!(order.input, None);

    let order = with(PromptVia::Argument, &["-p", "{prompt}", "--fast"]);
    assert_eq!(order.words, ["tool", "--model", "large", "-p", "Say hello", "--fast"]);

    let order = with(PromptVia::File, &["--file", "{prompt_file}", "-q"]);
    assert_eq!(order.words, ["tool", "--model", "large", "--file", "/records/1.prompt", "-q"]);
    assert_eq!(order.env.get("HIVE_PROMPT_FILE").map(String::as_str), Some("/records/1.prompt"));
    assert_eq!(order.input, None);

    let order = with(PromptVia::File, &[]);
    assert_eq!(order.words, ["tool", "--model", "large", "/records/1.prompt"]);
}

#[test]
fn the_folder_is_the_workspace_or_lies_in_it_or_is_absolute() {
    for (cwd, expected) in [(None, "/work"), (Some("src/web"), "/work/src/web"), (Some("/srv"), "/srv")] {
        let order = ordered(ProcessLink { cwd: cwd.map(str::to_owned), ..link() });
        assert_eq!(order.folder, Path::new(expected));
    }
}

#[test]
fn a_prompt_that_no_argument_takes_is_refused_with_the_way_out() {
    let assignment = |prompt, title: &str| Assignment {
        task: TaskId::from_raw(7),
        attempt: 1,
        agent: AgentId::from_raw(8),
        agent_name: "ada".parse().unwrap(),
        link: ProcessLink { prompt, ..link() },
        title: title.to_owned(),
        input: None,
        timeout_ms: None,
        limits: OutputLimits { output_bytes_max: 1, result_bytes_max: 1 },
    };
    let long = "x".repeat(ARGUMENT_BYTES_MAX + 1);
    let refused = prompt_of(&assignment(PromptVia::Argument, &long)).unwrap_err();
    assert!(refused.contains("131072 bytes") && refused.contains("stdin or a file"), "{refused}");
    assert_eq!(prompt_of(&assignment(PromptVia::Argument, "a\0b")).unwrap(), "a\u{fffd}b");
    assert_eq!(prompt_of(&assignment(PromptVia::Stdin, &long)).unwrap(), long);
    let fits = "x".repeat(ARGUMENT_BYTES_MAX);
    assert_eq!(prompt_of(&assignment(PromptVia::Argument, &fits)).unwrap(), fits);
}
