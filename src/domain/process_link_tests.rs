//! The rules of a process link, one by one.

use super::*;

fn link() -> ProcessLink {
    ProcessLink { command: vec!["true".into()], ..ProcessLink::default() }
}

fn fields(link: &ProcessLink) -> Vec<String> {
    let mut review = Review::new();
    link.review(&mut review);
    let broken = review.finish().map_or_else(|broken| broken.0, |()| vec![]);
    broken.into_iter().map(|violation| violation.field).collect()
}

#[test]
fn a_command_is_enough() {
    assert_eq!(fields(&link()), Vec::<String>::new());
    assert_eq!(fields(&ProcessLink::default()), ["link.command"]);
}

#[test]
fn every_limit_of_a_process_link_is_named_by_its_field() {
    type Change = fn(&mut ProcessLink);
    let table: [(&str, Change); 17] = [
        ("link.command", |link| link.command = vec!["a".into(); 129]),
        ("link.command", |link| link.command = vec!["a\0".into()]),
        ("link.args", |link| link.args = vec!["a".repeat(16_385)]),
        ("link.cwd", |link| link.cwd = Some("src".into())),
        ("link.env.A B", |link| drop(link.env.insert("A B".into(), Secret::new("")))),
        ("link.env.HIVE_TOKEN", |link| drop(link.env.insert("HIVE_TOKEN".into(), Secret::new("")))),
        ("link.env.A", |link| drop(link.env.insert("A".into(), Secret::new("x".repeat(32_769))))),
        ("link.env", |link| link.env = (0..129).map(|n| (format!("A{n}"), Secret::new(""))).collect()),
        ("link.inherit_env", |link| link.inherit_env = ["HIVE__STORE__DATA_DIR".to_owned()].into()),
        ("link.workspace.path", |link| link.workspace = Workspace::Directory { path: "here".into() }),
        ("link.workspace.repository", |link| {
            link.workspace =
                Workspace::GitWorktree { repository: ".".into(), base: None, keep: Keep::Changed };
        }),
        ("link.workspace.base", |link| {
            let base = Some("--upload-pack=x".into());
            link.workspace = Workspace::GitWorktree { repository: "/r".into(), base, keep: Keep::Changed };
        }),
        ("link.timeout_ms", |link| link.timeout_ms = Some(0)),
        ("link.limits.cpu_ms", |link| link.limits.cpu_ms = Some(0)),
        ("link.limits.memory_bytes", |link| link.limits.memory_bytes = Some((1 << 20) - 1)),
        ("link.limits.file_bytes", |link| link.limits.file_bytes = Some(0)),
        ("link.limits.open_files", |link| link.limits.open_files = Some(15)),
    ];
    for (field, change) in table {
        let mut broken = link();
        change(&mut broken);
        assert_eq!(fields(&broken), [field]);
    }
}

#[test]
fn a_relative_folder_must_stay_below_its_workspace() {
    let workspace = Workspace::Directory { path: "/repo".into() };
    let inside = ProcessLink { cwd: Some("src".into()), workspace, ..link() };
    assert_eq!(fields(&inside), Vec::<String>::new());
    assert_eq!(fields(&ProcessLink { cwd: Some("../else".into()), ..inside }), ["link.cwd"]);
}

#[test]
fn an_edit_changes_what_it_names_and_a_command_of_ones_own_ends_the_tie_to_a_preset() {
    let before = ProcessLink {
        preset: Some("shell".parse().unwrap()),
        env: [("KEY".to_owned(), Secret::new("v"))].into(),
        ..link()
    };
    let longer = ProcessLinkEdit { timeout_ms: Some(5), ..ProcessLinkEdit::default() };
    let after = before.clone().edited(longer);
    assert_eq!((after.timeout_ms, &after.env, &after.preset), (Some(5), &before.env, &before.preset));
    let own = ProcessLinkEdit { command: Some(vec!["cat".into()]), ..ProcessLinkEdit::default() };
    assert_eq!(before.edited(own).preset, None);
}

#[test]
fn the_values_of_the_environment_are_not_shown_in_debug_output() {
    let env = [("KEY".to_owned(), Secret::new("hunter2"))].into();
    let text = format!("{:?}", ProcessLink { env, ..link() });
    assert!(text.contains("KEY") && !text.contains("hunter2"), "{text}");
}
