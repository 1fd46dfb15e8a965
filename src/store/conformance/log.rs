//! Events: what they say, and how they are read back.

use domain::event::DATA_BYTES_MAX;
use domain::{Start, TaskState, TenantId};

use super::Rig;
use super::world::{LEASE_MS, ME, World, failure, handed_back, success};
use crate::command::{
    AgentEdit, CancelTask, ChangeQueue, Chore, PatchTask, QueueEdit, RecordSystemEvent, RedriveTask,
};
use domain::EventKind;

/// A history in which everything happens that is told of.
fn everything<R: Rig>() -> World<R> {
    let mut world = World::<R>::new();
    let correlation_id: std::sync::Arc<str> = "r".into();
    let cancel =
        |task, force| CancelTask { tenant: ME, task, force, grace_ms: 0, correlation_id: "r".into() };
    let done = world.working("done");
    world.finish(done.task, 1, success());
    let dead = world.working_with("dead", |task| task.attempts_max = 1);
    world.finish(dead.task, 1, failure());
    world.apply(RedriveTask { tenant: ME, task: dead.task, correlation_id: correlation_id.clone() });
    let back = world.working("back");
    world.finish(back.task, 1, handed_back());
    let lost = world.working("lost");
    let asked = world.working("asked").task;
    world.apply(cancel(asked, false));
    let killed = world.working("killed").task;
    world.apply(cancel(killed, true));
    world.wait_ms(LEASE_MS);
    world.sweep(Chore::ReapLeases);
    assert_eq!(world.state(lost.task), TaskState::Scheduled);
    world.wait_ms(600_000);
    world.sweep(Chore::StageDue);
    let delayed = world.submit_with("delayed", |task| task.start = Start::After(1_000)).id;
    let priority = Some(1);
    world.apply(PatchTask {
        tenant: ME,
        task: delayed,
        priority,
        labels: None,
        correlation_id: correlation_id.clone(),
    });
    world.apply(cancel(delayed, false));
    world.submit_with("expires", |task| task.timeouts.schedule_to_start_ms = Some(1));
    world.wait_ms(1);
    world.sweep(Chore::ExpireWaiting);
    let queue: domain::Name = "default".parse().unwrap();
    for edit in [QueueEdit::Pause, QueueEdit::Limit(Some(2))] {
        let (queue, correlation_id) = (queue.clone(), correlation_id.clone());
        world.apply(ChangeQueue { tenant: ME, queue, edit, correlation_id });
    }
    world.change_agent(done.agent, AgentEdit::Drain(true));
    world.change_agent(done.agent, AgentEdit::Remove);
    world.apply(RecordSystemEvent { kind: EventKind::SystemStarted, data: "{}".into() });
    let before = world.now();
    world.sweep(Chore::RetireTasks(before));
    world
}

pub(super) fn every_event_says_how_it_moved_its_task_also_when_read_back<R: Rig>() {
    let world = everything::<R>();
    assert_eq!(world.ask(|readers| readers.events_raw(0, 1_000)), world.events);
    for event in &world.events {
        let moves = event.task.is_some() && event.kind != EventKind::TaskCancelRequested;
        assert_eq!(event.moved.is_some(), moves, "{event:?}");
        let held = event
            .moved
            .is_some_and(|moved| moved.from == Some(TaskState::Working) || moved.to == TaskState::Working);
        assert_eq!(
            event.attempt.is_some(),
            held || event.kind == EventKind::TaskCancelRequested,
            "{event:?}"
        );
    }
}

pub(super) fn a_tasks_events_are_found_without_the_others<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.submit("between");
    world.finish(claimed.task, 1, failure());
    world.submit("between");
    world.wait_ms(60_000);
    world.sweep(Chore::StageDue);
    let of_task = |after, limit| {
        let records = world.ask(|readers| readers.events(ME, after, limit, Some(claimed.task)));
        records.into_iter().map(|record| record.event).collect::<Vec<_>>()
    };
    let mine: Vec<_> =
        world.events.iter().filter(|event| event.task == Some(claimed.task)).cloned().collect();
    assert_eq!(mine.len(), 4);
    assert_eq!(of_task(0, 100), mine);
    assert_eq!(of_task(0, 2), mine[..2]);
    assert_eq!(of_task(mine[1].seq, 100), mine[2..]);
    assert_eq!(of_task(mine[3].seq, 100), []);
    let foreign = world.ask(|readers| readers.events(TenantId(2), 0, 9, Some(claimed.task)));
    assert_eq!(foreign, []);
}

pub(super) fn every_kind_of_event_is_small_json<R: Rig>() {
    let world = everything::<R>();
    let kinds: std::collections::BTreeSet<_> = world.events.iter().map(|event| event.kind).collect();
    for kind in EventKind::ALL {
        let is_elsewhere = matches!(
            kind,
            EventKind::AgentUpdated
                | EventKind::QueueResumed
                | EventKind::SystemActorRestarted
                | EventKind::AuthKeyCreated
                | EventKind::AuthKeyRemoved
        );
        assert!(is_elsewhere || kinds.contains(kind), "{} did not happen", kind.as_str());
    }
    for event in &world.events {
        assert!(event.data.len() <= DATA_BYTES_MAX);
        let data: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&event.data).unwrap();
        if let Some(moved) = event.moved {
            assert_eq!(data["to"], moved.to.as_str());
            assert_eq!(data.get("from").and_then(|from| from.as_str()), moved.from.map(TaskState::as_str));
        }
    }
}

pub(super) fn a_page_of_the_log_goes_on_where_the_last_one_ended<R: Rig>() {
    let world = everything::<R>();
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map_or(0, |event: &domain::Event| event.seq);
        let page = world.ask(|readers| readers.events(ME, after, 3, None));
        if page.is_empty() {
            break;
        }
        for record in &page {
            let is_of_a_lane = record.event.lane.is_some();
            assert_eq!(record.queue.as_ref().map(domain::Name::as_str), is_of_a_lane.then_some("default"));
        }
        paged.extend(page.into_iter().map(|record| record.event));
    }
    assert_eq!(paged, world.events);
    assert_eq!(world.ask(|readers| readers.events(TenantId(2), 0, 9, None)), []);
}
