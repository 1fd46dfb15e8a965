//! Agents and queues.

use std::collections::BTreeSet;

use domain::{AgentId, AgentPatch, EventKind, Health, TaskState, TenantId};

use super::Rig;
use super::world::{ME, World, name};
use crate::command::{AgentEdit, ChangeAgent, ChangeQueue, QueueEdit};
use crate::outcome::{AgentChange, QueueChanged, Registered};

pub(super) fn an_agent_is_registered_under_a_free_name<R: Rig>() {
    let mut world = World::<R>::new();
    let answer = world.agent_with("ada", |agent| {
        agent.capabilities = BTreeSet::from([name("rust"), name("gpu")]);
        agent.capacity = 3;
        agent.labels = [(name("team"), "x".into())].into();
    });
    let Registered::Accepted(agent) = answer else { panic!() };
    assert_eq!(agent.created_at, world.now());
    assert_eq!(world.ask(|readers| readers.agent(ME, agent.id)).as_ref(), Some(&*agent));
    assert_eq!(world.ask(|readers| readers.agents(ME)), [*agent.clone()]);
    assert_eq!(world.ask(|readers| readers.all_agents()), [*agent.clone()]);
    let event = world.events.last().unwrap();
    assert_eq!((event.kind, event.agent), (EventKind::AgentRegistered, Some(agent.id)));
    assert_eq!(&*event.data, r#"{"name":"ada","health":"active"}"#);
    let told = world.told(|world| assert!(matches!(world.agent_with("ada", |_| {}), Registered::NameTaken)));
    assert_eq!(told, []);
}

pub(super) fn each_change_is_stored_and_told_once<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let patch = AgentPatch { capacity: Some(4), role: Some(name("tester")), ..AgentPatch::default() };
    for (change, kind) in [
        (AgentEdit::Patch { patch, seen: None }, EventKind::AgentUpdated),
        (AgentEdit::Drain(true), EventKind::AgentStateChanged),
        (AgentEdit::Observe(Health::Stalled), EventKind::AgentStateChanged),
    ] {
        let told = world.told(|world| {
            let AgentChange::Done(first) = world.change_agent(agent, change.clone()) else { panic!() };
            let AgentChange::Done(second) = world.change_agent(agent, change) else { panic!() };
            assert_eq!(first, second);
            assert_eq!(world.ask(|readers| readers.agent(ME, agent)), Some(*second));
        });
        assert_eq!(told, [kind], "the second time changes nothing");
    }
    let stored = world.ask(|readers| readers.agent(ME, agent)).unwrap();
    assert_eq!((stored.asked.capacity, stored.asked.role.as_str()), (4, "tester"));
    assert_eq!((stored.is_draining, stored.health), (true, Health::Stalled));
    assert_eq!(
        &*world.events.last().unwrap().data,
        r#"{"name":"ada","health":"stalled","is_draining":true}"#
    );
}

pub(super) fn a_removed_agent_is_gone_and_its_name_is_free<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let AgentChange::Done(last) = world.change_agent(claimed.agent, AgentEdit::Remove) else { panic!() };
    assert_eq!(last.id, claimed.agent);
    assert_eq!(world.events.last().unwrap().kind, EventKind::AgentRemoved);
    assert_eq!(world.ask(|readers| readers.agent(ME, claimed.agent)), None);
    assert_eq!(world.ask(|readers| readers.agents(ME)), []);
    assert_eq!(world.ask(|readers| readers.all_agents()), []);
    assert!(matches!(world.change_agent(claimed.agent, AgentEdit::Drain(true)), AgentChange::NotFound));
    assert!(matches!(world.change_agent(claimed.agent, AgentEdit::Remove), AgentChange::NotFound));
    assert_eq!(world.state(claimed.task), TaskState::Working, "its attempt keeps its lease");
    assert_ne!(world.agent("ada"), claimed.agent);
}

pub(super) fn another_tenants_agent_is_not_found<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let other = TenantId(2);
    assert_eq!(world.ask(|readers| readers.agent(other, agent)), None);
    assert_eq!(world.ask(|readers| readers.agents(other)), []);
    let correlation_id: std::sync::Arc<str> = "r".into();
    for (tenant, agent) in [(other, agent), (ME, AgentId::from_raw(4_711))] {
        let change = AgentEdit::Drain(true);
        let command = ChangeAgent { tenant, agent, change, correlation_id: correlation_id.clone() };
        assert!(matches!(world.apply(command), AgentChange::NotFound));
    }
}

pub(super) fn a_queue_is_paused_and_resumed_once<R: Rig>() {
    let mut world = World::<R>::new();
    let told = world.told(|world| {
        assert_eq!(world.apply(edited(QueueEdit::Resume)), QueueChanged::default());
        for is_paused in [true, true, false, false, true] {
            let edit = if is_paused { QueueEdit::Pause } else { QueueEdit::Resume };
            assert_eq!(world.apply(edited(edit)), QueueChanged { is_paused, concurrency_limit: None });
        }
    });
    assert_eq!(told, [EventKind::QueuePaused, EventKind::QueueResumed, EventKind::QueuePaused]);
    assert_eq!(&*world.events.last().unwrap().data, r#"{"queue":"q"}"#);
    world.rig.reopen();
    let queues = world.ask(|readers| readers.queues(ME));
    assert_eq!((queues.len(), queues[0].is_paused), (1, true));
    assert_eq!(world.ask(|readers| readers.all_queues()), queues);
    assert_eq!(world.ask(|readers| readers.queues(TenantId(2))), []);
}

pub(super) fn the_limit_of_a_queue_and_its_pause_do_not_touch_each_other<R: Rig>() {
    let mut world = World::<R>::new();
    let told = world.told(|world| {
        for limit in [None, Some(3), Some(3), None, Some(1)] {
            let changed = world.apply(edited(QueueEdit::Limit(limit)));
            assert_eq!(changed, QueueChanged { is_paused: false, concurrency_limit: limit });
        }
        let changed = world.apply(edited(QueueEdit::Pause));
        assert_eq!(changed, QueueChanged { is_paused: true, concurrency_limit: Some(1) });
    });
    assert_eq!(told[..3], [EventKind::QueueUpdated; 3]);
    assert_eq!(told[3..], [EventKind::QueuePaused]);
    let data: Vec<_> = world.events.iter().rev().take(3).map(|event| event.data.to_string()).collect();
    let updated = |limit| format!(r#"{{"queue":"q","concurrency_limit":{limit}}}"#);
    assert_eq!(data, [r#"{"queue":"q"}"#.to_owned(), updated("1"), updated("null")]);
    world.rig.reopen();
    let queues = world.ask(|readers| readers.queues(ME));
    assert_eq!((queues[0].is_paused, queues[0].concurrency_limit), (true, Some(1)));
}

fn edited(edit: QueueEdit) -> ChangeQueue {
    ChangeQueue { tenant: ME, queue: name("q"), edit, correlation_id: "r".into() }
}

pub(super) fn a_pinned_task_needs_its_agent_to_stay<R: Rig>() {
    let mut world = World::<R>::new();
    let (ada, bob) = (world.agent("ada"), world.agent("bob"));
    let lane = world.submit_with("pinned", |task| task.agent_id = Some(ada)).lane;
    world.change_agent(ada, AgentEdit::Remove);
    assert_eq!(world.claim(lane, ada, 1), []);
    assert_eq!(world.claim(lane, bob, 1), []);
}
