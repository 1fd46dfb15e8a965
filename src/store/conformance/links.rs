//! How agents are reached is stored whole, and its secrets stay with it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AgentPatch, EventKind, Keep, Link, ProcessLimits, ProcessLink, PromptVia, ResultFormat, Secret, Workspace,
};

use super::Rig;
use super::world::{ME, World, name};
use crate::command::{AgentEdit, ChangeAgent, Command, RegisterAgent};
use crate::outcome::{AgentChange, Registered};

/// A link with something in each of its fields.
fn link(secret: &str) -> ProcessLink {
    ProcessLink {
        preset: Some(name("claude-code")),
        command: vec!["claude".into(), "-p".into()],
        args: vec!["--model".into(), "\"x\"\n".into()],
        cwd: Some("src".into()),
        env: BTreeMap::from([
            ("API_KEY".into(), Secret::new(secret)),
            ("EMPTY".into(), Secret::new("")),
            ("ODD".into(), Secret::new("\u{1}\"ä\"\n")),
        ]),
        inherit_env: BTreeSet::from(["SSH_AUTH_SOCK".into()]),
        prompt: PromptVia::Argument,
        result: ResultFormat::ClaudeStreamJson,
        workspace: Workspace::GitWorktree {
            repository: "/repo".into(),
            base: Some("main".into()),
            keep: Keep::Always,
        },
        timeout_ms: Some(600_000),
        limits: ProcessLimits { memory_bytes: Some(1 << 30), open_files: Some(64), ..Default::default() },
    }
}

fn process(link: ProcessLink) -> Link {
    Link::Process(Box::new(link))
}

pub(super) fn a_process_comes_back_as_it_was_asked_for<R: Rig>() {
    let mut world = World::<R>::new();
    let bare = ProcessLink { command: vec!["true".into()], ..ProcessLink::default() };
    for (called, link) in [("full", link("hunter2")), ("bare", bare)] {
        let answer = world.agent_with(called, |agent| agent.link = process(link.clone()));
        let Registered::Accepted(agent) = answer else { panic!() };
        assert_eq!(agent.asked.link, process(link));
        world.rig.reopen();
        assert_eq!(world.ask(|readers| readers.agent(ME, agent.id)), Some(*agent.clone()), "{called}");
        assert!(world.ask(|readers| readers.all_agents()).contains(&agent), "{called}");
        let again = RegisterAgent { agent: *agent.clone(), key: None, correlation_id: "r".into() };
        let Registered::Replayed(replayed) = world.apply(again) else { panic!() };
        assert_eq!(replayed.asked.link, agent.asked.link);
        // What changes something else leaves the link alone.
        let AgentChange::Done(changed) = world.change_agent(agent.id, AgentEdit::Drain(true)) else {
            panic!()
        };
        assert_eq!(changed.asked.link, agent.asked.link);
        assert_eq!(world.ask(|readers| readers.agent(ME, agent.id)), Some(*changed));
    }
}

pub(super) fn a_link_is_replaced_whole<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |agent| agent.link = process(link("hunter2")))
    else {
        panic!()
    };
    let other_secret = link("correct horse");
    let without_env = ProcessLink { env: BTreeMap::new(), timeout_ms: None, ..link("") };
    for (wanted, kinds) in [
        (link("hunter2"), vec![]),
        (other_secret, vec![EventKind::AgentUpdated]),
        (without_env, vec![EventKind::AgentUpdated]),
    ] {
        let told = world.told(|world| {
            let patch = AgentPatch { link: Some(process(wanted.clone())), ..AgentPatch::default() };
            let AgentChange::Done(after) =
                world.change_agent(agent.id, AgentEdit::Patch { patch, seen: None })
            else {
                panic!()
            };
            assert_eq!(after.asked.link, process(wanted));
            assert_eq!(world.ask(|readers| readers.agent(ME, agent.id)), Some(*after));
        });
        assert_eq!(told, kinds, "a secret alone is a change, too");
    }
    let capacity = AgentPatch { capacity: Some(2), ..AgentPatch::default() };
    let AgentChange::Done(after) =
        world.change_agent(agent.id, AgentEdit::Patch { patch: capacity, seen: None })
    else {
        panic!()
    };
    assert_eq!(after.asked.link.process().unwrap().timeout_ms, None);
}

pub(super) fn a_patch_of_what_is_no_longer_so_changes_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |agent| agent.link = process(link("hunter2")))
    else {
        panic!()
    };
    let edit = |capacity| {
        let patch = AgentPatch { capacity: Some(capacity), ..AgentPatch::default() };
        AgentEdit::Patch { patch, seen: Some(Box::new(agent.asked.clone())) }
    };
    assert!(matches!(world.change_agent(agent.id, edit(2)), AgentChange::Done(_)));
    let told = world.told(|world| {
        assert!(matches!(world.change_agent(agent.id, edit(3)), AgentChange::Superseded));
    });
    assert_eq!(told, []);
    let now = world.ask(|readers| readers.agent(ME, agent.id)).unwrap();
    assert_eq!(now.asked.capacity, 2);
}

pub(super) fn the_secrets_of_an_agent_leave_the_store_with_it<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |agent| agent.link = process(link("hunter2")))
    else {
        panic!()
    };
    let AgentChange::Done(removed) = world.change_agent(agent.id, AgentEdit::Remove) else { panic!() };
    let left = removed.asked.link.process().unwrap();
    assert_eq!((left.env.len(), left.command.len()), (0, 2));
    let again = RegisterAgent { agent: *agent, key: None, correlation_id: "r".into() };
    let Registered::Replayed(found) = world.apply(again) else { panic!() };
    assert!(found.asked.link.process().unwrap().env.is_empty());
}

pub(super) fn no_event_carries_a_value_of_an_environment<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |agent| agent.link = process(link("hunter2")))
    else {
        panic!()
    };
    let patch = AgentPatch { link: Some(process(link("correct horse"))), ..AgentPatch::default() };
    let change = AgentEdit::Patch { patch, seen: None };
    let patch = ChangeAgent { tenant: ME, agent: agent.id, change, correlation_id: "r".into() };
    let commands: [Command; 2] = [
        RegisterAgent { agent: *agent.clone(), key: None, correlation_id: "r".into() }.into(),
        patch.clone().into(),
    ];
    assert!(matches!(world.apply(patch), AgentChange::Done(_)));
    world.change_agent(agent.id, AgentEdit::Drain(true));
    world.change_agent(agent.id, AgentEdit::Remove);
    let events = world.ask(|readers| readers.events_raw(0, 1_000));
    assert_eq!(events.len(), 4);
    let told = format!("{events:?} {commands:?} {agent:?}");
    for secret in ["hunter2", "correct horse"] {
        assert!(!told.contains(secret), "{told}");
    }
}
