//! What a link in a request means, what it refuses, and what its answers leave out.

use super::*;
use crate::request::{self, Unreadable};
use crate::{AgentChangeAsked, PatchAgent, RegisterAgent, Request};
use domain::{Limits, Secret, Violations};

const SECRET: &str = "hunter2-swordfish";

fn read<R: Request>(body: &str) -> Result<R::Asked, Vec<(String, String)>> {
    request::read::<R>(body.as_bytes(), &Limits::default()).map_err(|refused| match refused {
        Unreadable::InvalidValue(Violations(found)) | Unreadable::UnknownField(Violations(found)) => {
            found.into_iter().map(|violation| (violation.field, violation.message)).collect()
        }
        Unreadable::Malformed(why) => vec![("malformed".to_owned(), why)],
    })
}

fn register(link: &str) -> Result<LinkAsked, Vec<(String, String)>> {
    read::<RegisterAgent>(&format!(r#"{{"name":"a","link":{link}}}"#)).map(|asked| asked.link)
}

fn fields(link: &str) -> Vec<String> {
    register(link).map_or_else(|broken| broken.into_iter().map(|(field, _)| field).collect(), |_| vec![])
}

fn patch(link: &str) -> Result<AgentChangeAsked, Vec<String>> {
    let broken = |found: Vec<(String, String)>| found.into_iter().map(|(field, _)| field).collect();
    read::<PatchAgent>(&format!(r#"{{"link":{link}}}"#)).map_err(broken)
}

#[test]
fn every_field_of_a_process_arrives() {
    let link = r#"{"kind":"process","command":["cat","-u"],"args":["x"],"cwd":"src","env":{"KEY":"v"},
        "inherit_env":["PATH","HOME"],"prompt":"argument","result":"json-last","timeout_ms":600000,
        "workspace":{"kind":"git_worktree","repository":"/repo","base":"main","keep":"always"},
        "limits":{"cpu_ms":1,"memory_bytes":1048576,"file_bytes":1,"open_files":16}}"#;
    let LinkAsked::Process { preset: None, edit } = register(link).unwrap() else { panic!("not a process") };
    let expected = ProcessLinkEdit {
        command: Some(vec!["cat".into(), "-u".into()]),
        args: Some(vec!["x".into()]),
        cwd: Some("src".into()),
        env: Some([("KEY".to_owned(), Secret::new("v"))].into()),
        inherit_env: Some(["HOME".to_owned(), "PATH".to_owned()].into()),
        prompt: Some(PromptVia::Argument),
        result: Some(ResultFormat::JsonLast),
        workspace: Some(Workspace::GitWorktree {
            repository: "/repo".into(),
            base: Some("main".into()),
            keep: Keep::Always,
        }),
        timeout_ms: Some(600_000),
        limits: Some(ProcessLimits {
            cpu_ms: Some(1),
            memory_bytes: Some(1 << 20),
            file_bytes: Some(1),
            open_files: Some(16),
        }),
    };
    assert_eq!(*edit, expected);
}

#[test]
fn a_preset_alone_is_enough_and_leaves_everything_to_it() {
    let asked = register(r#"{"kind":"process","preset":"claude-code"}"#).unwrap();
    let preset = Some("claude-code".parse().unwrap());
    assert_eq!(asked, LinkAsked::Process { preset, edit: Box::default() });
    assert_eq!(fields(r#"{"kind":"process","preset":"p","cwd":"src"}"#), Vec::<String>::new());
}

#[test]
fn exactly_one_of_preset_and_command_is_there() {
    assert_eq!(fields(r#"{"kind":"process"}"#), ["link.command"]);
    assert_eq!(fields(r#"{"kind":"process","command":[]}"#), ["link.command"]);
    assert_eq!(fields(r#"{"kind":"process","preset":"p","command":["cat"]}"#), ["link.preset"]);
    assert_eq!(fields(r#"{"kind":"process","preset":"No Name"}"#), ["link.preset"]);
}

#[test]
fn every_broken_rule_of_a_link_is_told_at_once_by_its_field() {
    let link = r#"{"kind":"process","command":[""],"cwd":"src","env":{"A B":"1","HIVE_TOKEN":"2","OK":3},
        "inherit_env":["1X"],"prompt":"pigeon","result":"xml","timeout_ms":0,"bogus":1,
        "workspace":{"kind":"cloud","path":"x"},"limits":{"cpu_ms":0,"open_files":1,"disk":2}}"#;
    let mut told = fields(link);
    told.sort();
    let expected = [
        "link.bogus",
        "link.command",
        "link.cwd",
        "link.env.A B",
        "link.env.HIVE_TOKEN",
        "link.env.OK",
        "link.inherit_env",
        "link.limits.cpu_ms",
        "link.limits.disk",
        "link.limits.open_files",
        "link.prompt",
        "link.result",
        "link.timeout_ms",
        "link.workspace.kind",
        "link.workspace.path",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_word_that_is_none_is_refused_with_those_that_are() {
    let told = register(r#"{"kind":"process","command":["cat"],"prompt":"pigeon"}"#).unwrap_err();
    let message = "must be one of `stdin`, `argument`, `file`";
    assert_eq!(told, [("link.prompt".to_owned(), message.to_owned())]);
    let told = register(r#"{"kind":"robot"}"#).unwrap_err();
    assert_eq!(told, [("link.kind".to_owned(), "must be worker or process".to_owned())]);
}

#[test]
fn a_worker_has_no_fields_of_a_process() {
    assert_eq!(register(r#"{"kind":"worker"}"#).unwrap(), LinkAsked::Worker);
    let link = r#"{"kind":"worker","preset":"p","command":["cat"],"env":{},"timeout_ms":1}"#;
    assert_eq!(fields(link), ["link.preset", "link.command", "link.env", "link.timeout_ms"]);
}

#[test]
fn fields_of_a_workspace_stand_with_their_own_kind_only() {
    let workspace = |workspace: &str| {
        fields(&format!(r#"{{"kind":"process","command":["cat"],"workspace":{workspace}}}"#))
    };
    assert_eq!(workspace(r#"{"kind":"none"}"#), Vec::<String>::new());
    assert_eq!(workspace(r#"{"kind":"directory","path":"/x"}"#), Vec::<String>::new());
    assert_eq!(workspace(r#"{"kind":"none","path":"/x"}"#), ["link.workspace.path"]);
    let other = r#"{"kind":"directory","path":"/x","repository":"/r","base":"b","keep":"never"}"#;
    assert_eq!(workspace(other), ["link.workspace.repository", "link.workspace.base", "link.workspace.keep"]);
    let mut missing = workspace(r#"{"kind":"git_worktree"}"#);
    missing.dedup();
    assert_eq!(missing, ["link.workspace.repository"]);
    assert_eq!(workspace("[]"), ["link.workspace"], "an object and nothing else");
}

#[test]
fn a_patch_names_what_changes_and_never_kind_or_preset() {
    let change = patch(r#"{"timeout_ms":5,"cwd":"src","env":{"A":"1"}}"#).unwrap();
    let edit = change.link.unwrap();
    assert_eq!((edit.timeout_ms, edit.cwd.as_deref(), edit.command), (Some(5), Some("src"), None));
    assert_eq!(change.patch, domain::AgentPatch::default());
    assert_eq!(patch(r#"{"kind":"process","preset":"p"}"#).unwrap_err(), ["link.kind", "link.preset"]);
    assert_eq!(patch(r#"{"command":[],"timeout_ms":0}"#).unwrap_err(), ["link.command", "link.timeout_ms"]);
    let relative = patch(r#"{"command":["cat"],"cwd":"src"}"#);
    assert!(relative.is_ok(), "whether the present link has a workspace is not known here");
}

#[test]
fn what_a_client_builds_is_what_the_hive_reads() {
    let built = RegisterAgent {
        name: "a".into(),
        link: Some(RegisterLink {
            kind: "process".into(),
            command: Some(vec!["cat".into()]),
            env: Some([("KEY".to_owned(), SecretText::new(SECRET))].into()),
            workspace: Some(Workspace::Directory { path: "/x".into() }.into()),
            limits: Some(LinkLimits { cpu_ms: Some(5), ..LinkLimits::default() }),
            ..RegisterLink::default()
        }),
        ..RegisterAgent::default()
    };
    let asked = read::<RegisterAgent>(&serde_json::to_string(&built).unwrap()).unwrap();
    let LinkAsked::Process { edit, .. } = asked.link else { panic!("not a process") };
    assert_eq!(edit.env.unwrap()["KEY"].reveal(), SECRET);
    assert_eq!(edit.workspace, Some(Workspace::Directory { path: "/x".into() }));
    assert!(!format!("{built:?}").contains(SECRET));
}

#[test]
fn no_refusal_repeats_a_value_of_the_environment() {
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let links = [
        format!(r#"{{"kind":"process","env":"{SECRET}"}}"#),
        format!(r#"{{"kind":"process","env":["{SECRET}"]}}"#),
        format!(r#"{{"kind":"process","env":{{"A B":"{SECRET}"}}}}"#),
        format!(r#"{{"kind":"process","env":{{"A":{{"{SECRET}":1}}}}}}"#),
        format!(r#"{{"kind":"process","command":["cat"],"env":{{"A":"{SECRET}\u0000"}}}}"#),
        format!(r#"{{"kind":"process","command":["cat"],"env":{{"A":"{}{SECRET}"}}}}"#, "x".repeat(32_768)),
        format!(r#"{{"kind":"process","env":{{"A":"{SECRET}"}},"env":{{}}}}"#),
        // What is too deep for a tree is told by serde's own first words, which repeat a value of a wrong type.
        format!(r#"{{"env":"{SECRET}","cwd":{deep}}}"#),
        format!(r#"{{"env":"{SECRET}, expected x","cwd":{deep}}}"#),
    ];
    for link in links {
        let told = register(&link).unwrap_err();
        assert!(!told.is_empty(), "{link}");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
    }
    let broken = read::<RegisterAgent>(&format!(r#"{{"name":"a","link":{{"env":{{"A":"{SECRET}" oops"#));
    assert!(!format!("{broken:?}").contains("hunter2"), "{broken:?}");
}

#[test]
fn a_link_is_shown_with_the_names_of_its_environment_and_without_the_values() {
    let link = ProcessLink {
        preset: Some("shell".parse().unwrap()),
        command: vec!["sh".into()],
        env: [("KEY".to_owned(), Secret::new(SECRET))].into(),
        workspace: Workspace::GitWorktree { repository: "/r".into(), base: None, keep: Keep::Changed },
        ..ProcessLink::default()
    };
    let shown = serde_json::to_value(LinkView::from(Link::Process(Box::new(link)))).unwrap();
    let expected = serde_json::json!({
        "kind": "process", "preset": "shell", "command": ["sh"], "args": [], "cwd": null, "env_names": ["KEY"],
        "inherit_env": [], "prompt": "stdin", "result": "text",
        "workspace": {"kind": "git_worktree", "repository": "/r", "keep": "changed"}, "timeout_ms": null, "limits": {},
    });
    assert_eq!(shown, expected);
    let worker = serde_json::to_value(LinkView::from(Link::Worker)).unwrap();
    assert_eq!(worker, serde_json::json!({"kind": "worker"}));
    let back: LinkView = serde_json::from_value(shown).unwrap();
    assert_eq!(back.kind(), "process");
}
