//! Tasks come in.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{AgentId, Backoff, EventKind, Labels, NewTask, Start, TaskState, Timeouts};

use super::Rig;
use super::world::{LEASE_MS, ME, World, name};
use crate::command::{AgentEdit, SubmitTask};
use crate::outcome::Submitted;

pub(super) fn a_task_is_queued_and_shown_as_it_was_asked_for<R: Rig>() {
    let mut world = World::<R>::new();
    let input: Arc<str> = r#"{ "b" : 1, "a":[1,  2] }"#.into();
    let mut asked = NewTask::titled("Grüße", name("reviews"));
    asked.input = Some(Arc::clone(&input));
    asked.kind = Some(name("review"));
    asked.priority = 9;
    asked.requires = BTreeSet::from([name("rust"), name("gpu")]);
    asked.labels = Labels::from([(name("team"), "a \"b\"".into())]);
    asked.attempts_max = 7;
    asked.backoff = Backoff { initial_ms: 5, factor: 1.5, max_ms: 50, jitter: 0.0 };
    asked.timeouts = Timeouts { schedule_to_start_ms: Some(1_000), ..Timeouts::default() };
    let expected = asked.clone();
    let record = world.submit_with("Grüße", |task| *task = asked);
    assert_eq!(record, world.task(record.id), "what is answered is what is stored");
    let detail = world.ask(|readers| readers.task(ME, record.id)).unwrap();
    assert_eq!(detail.input, Some(input), "byte for byte");
    assert_eq!((record.title.as_str(), &record.kind), ("Grüße", &expected.kind));
    assert_eq!((&record.queue, &record.requires), (&expected.queue, &expected.requires));
    assert_eq!((record.priority, &record.labels), (9, &expected.labels));
    assert_eq!((record.backoff, record.timeouts), (expected.backoff, expected.timeouts));
    assert_eq!((record.status.attempts_max, record.status.attempt), (7, 0));
    assert_eq!((record.status.state, record.created_at), (TaskState::Queued, world.now()));
    assert_eq!((record.created_by.as_str(), &*record.correlation_id), ("tester", "req-1"));
}

pub(super) fn a_task_that_asks_for_nothing_gets_the_usual<R: Rig>() {
    let mut world = World::<R>::new();
    let record = world.submit("plain");
    assert_eq!(record, world.task(record.id));
    assert_eq!((record.backoff, record.timeouts), (Backoff::default(), Timeouts::default()));
    assert_eq!((record.labels, record.kind, record.agent, record.error), (Labels::new(), None, None, None));
    let detail = world.ask(|readers| readers.task(ME, record.id)).unwrap();
    assert_eq!((detail.input, detail.result), (None, None));
    let lanes = world.ask(|readers| readers.lanes());
    assert_eq!(lanes.len(), 1);
    assert_eq!((lanes[0].0, &lanes[0].1.queue), (record.lane, &name("default")));
    assert_eq!(world.lanes.len(), 1, "the new lane is announced");
}

pub(super) fn a_delayed_task_is_scheduled<R: Rig>() {
    let mut world = World::<R>::new();
    let record = world.submit_with("later", |task| task.start = Start::After(5_000));
    assert_eq!(record.status.state, TaskState::Scheduled);
    assert_eq!(record.eligible_at, Some(world.now().plus_ms(5_000)));
    assert_eq!(record, world.task(record.id));
    assert_eq!(world.events[0].moved.unwrap().to, TaskState::Scheduled);
}

pub(super) fn a_start_in_the_past_is_queued_at_once<R: Rig>() {
    let mut world = World::<R>::new();
    let past = world.now().minus_ms(1);
    let record = world.submit_with("past", |task| task.start = Start::At(past));
    assert_eq!((record.status.state, record.eligible_at), (TaskState::Queued, None));
}

pub(super) fn a_free_agent_makes_it_working_in_the_same_commit<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let mut command = world.submit_command("now", |task| task.input = Some("[1]".into()));
    command.eager = Some(agent);
    let before = world.events.len();
    let Submitted::Accepted { record, claimed: Some(claimed) } = world.apply(command) else { panic!() };
    assert_eq!((record.status.state, record.status.attempt), (TaskState::Working, 1));
    assert_eq!(*record, world.task(record.id));
    assert_eq!((claimed.agent, claimed.attempt, claimed.task), (agent, 1, record.id));
    assert_eq!(claimed.input.as_deref(), Some("[1]"));
    assert_eq!(claimed.lease_expires_at, world.now().plus_ms(LEASE_MS));
    assert_eq!(record.lease_expires_at, Some(claimed.lease_expires_at));
    let kinds: Vec<_> = world.events[before..].iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::TaskSubmitted, EventKind::TaskStarted]);
    assert_eq!(world.events[before + 1].agent, Some(agent));
    assert_eq!(world.events[before + 1].attempt, Some(1));
}

pub(super) fn an_agent_that_is_gone_or_drains_or_cannot_leaves_it_queued<R: Rig>() {
    let mut world = World::<R>::new();
    let (gone, drains, cannot) = (world.agent("gone"), world.agent("drains"), world.agent("cannot"));
    world.change_agent(gone, AgentEdit::Remove);
    world.change_agent(drains, AgentEdit::Drain(true));
    for agent in [gone, drains, cannot, AgentId::from_raw(4_711)] {
        let command = world.submit_command("t", |task| task.requires = BTreeSet::from([name("gpu")]));
        let answer = world.apply(SubmitTask { eager: Some(agent), ..command });
        let Submitted::Accepted { record, claimed: None } = answer else { panic!("{answer:?}") };
        assert_eq!(world.state(record.id), TaskState::Queued);
    }
}

pub(super) fn a_delayed_task_is_not_claimed_eagerly<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let command = world.submit_command("later", |task| task.start = Start::After(1));
    let answer = world.apply(SubmitTask { eager: Some(agent), ..command });
    let Submitted::Accepted { record, claimed: None } = answer else { panic!("{answer:?}") };
    assert_eq!(record.status.state, TaskState::Scheduled);
}

pub(super) fn a_task_pinned_to_nobody_is_refused<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let pin = |to: AgentId| move |task: &mut NewTask| task.agent_id = Some(to);
    let command = world.submit_command("lost", pin(AgentId::from_raw(4_711)));
    assert!(matches!(world.apply(command), Submitted::UnknownAgent));
    let mut command = world.submit_command("foreign", pin(agent));
    command.task.tenant = domain::TenantId(2);
    assert!(matches!(world.apply(command), Submitted::UnknownAgent));
    let record = world.submit_with("mine", pin(agent));
    assert_eq!(record.pinned, Some(agent));
    world.change_agent(agent, AgentEdit::Remove);
    let command = world.submit_command("removed", pin(agent));
    assert!(matches!(world.apply(command), Submitted::UnknownAgent));
    assert_eq!(world.lanes.len(), 1, "a refused task interns nothing");
}

pub(super) fn too_many_lanes_are_refused_and_known_ones_still_work<R: Rig>() {
    let mut world = World::<R>::with_lanes(2);
    let queue = |word: &str| {
        let queue = name(word);
        move |task: &mut NewTask| task.queue = queue
    };
    world.submit_with("a", queue("a"));
    world.submit_with("b", queue("b"));
    let command = world.submit_command("c", queue("c"));
    let told = world.told(|world| assert!(matches!(world.apply(command), Submitted::TooManyLanes)));
    assert_eq!(told, []);
    world.submit_with("a again", queue("a"));
    world.rig.reopen();
    let command = world.submit_command("c", queue("c"));
    assert!(matches!(world.apply(command), Submitted::TooManyLanes));
}

pub(super) fn the_same_command_again_changes_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let command = world.submit_command("once", |_| {});
    let Submitted::Accepted { record, .. } = world.apply(command.clone()) else { panic!() };
    let again = SubmitTask { eager: Some(agent), ..command };
    let told = world.told(|world| {
        let Submitted::Replayed(replayed) = world.apply(again) else { panic!() };
        assert_eq!(replayed, record);
    });
    assert_eq!(told, []);
    assert_eq!(world.submit("next").status.state, TaskState::Queued);
}
