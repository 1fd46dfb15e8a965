//! Priority and labels change; dead letters are put back.

use domain::{EventKind, Labels, TaskId, TaskState};

use super::Rig;
use super::world::{ME, World, failure, name, success};
use crate::command::{Chore, PatchTask, RedriveTask};
use crate::outcome::{Patched, Redriven};

fn patch(task: TaskId) -> PatchTask {
    PatchTask { tenant: ME, task, priority: None, labels: None, correlation_id: "req-8".into() }
}

fn redrive(task: TaskId) -> RedriveTask {
    RedriveTask { tenant: ME, task, correlation_id: "req-7".into() }
}

pub(super) fn a_queued_task_moves_to_its_new_priority<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let first = world.submit("first");
    let second = world.submit("second");
    let Patched::Done(record) = world.apply(PatchTask { priority: Some(8), ..patch(second.id) }) else {
        panic!()
    };
    assert_eq!((record.priority, *record == world.task(second.id)), (8, true));
    let event = world.events.last().unwrap();
    let moved = event.moved.unwrap();
    assert_eq!((event.kind, event.priority), (EventKind::TaskUpdated, Some(8)));
    assert_eq!(
        (moved.from, moved.to, moved.priority_from),
        (Some(TaskState::Queued), TaskState::Queued, Some(5))
    );
    let order: Vec<_> = world.claim(first.lane, agent, 2).into_iter().map(|task| task.task).collect();
    assert_eq!(order, [second.id, first.id]);
}

pub(super) fn labels_are_replaced_whole<R: Rig>() {
    let mut world = World::<R>::new();
    let record = world.submit_with("t", |task| task.labels = [(name("a"), "1".into())].into());
    let labels: Labels = [(name("b"), "2".into())].into();
    let Patched::Done(patched) = world.apply(PatchTask { labels: Some(labels.clone()), ..patch(record.id) })
    else {
        panic!()
    };
    assert_eq!(patched.labels, labels);
    assert_eq!(world.events.last().unwrap().moved, None, "the counts do not change");
    let Patched::Done(patched) = world.apply(PatchTask { labels: Some(Labels::new()), ..patch(record.id) })
    else {
        panic!()
    };
    assert_eq!(patched.labels, Labels::new());
    assert_eq!(world.task(record.id).labels, Labels::new());
}

pub(super) fn nothing_is_written_when_nothing_changes<R: Rig>() {
    let mut world = World::<R>::new();
    let id = world.submit("t").id;
    let told = world.told(|world| {
        world.apply(patch(id));
        world.apply(PatchTask { priority: Some(5), labels: Some(Labels::new()), ..patch(id) });
    });
    assert_eq!(told, []);
}

pub(super) fn what_has_ended_cannot_be_patched<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let up = PatchTask { priority: Some(9), ..patch(claimed.task) };
    assert!(matches!(world.apply(up.clone()), Patched::Done(_)), "a working one can");
    world.finish(claimed.task, 1, success());
    assert!(matches!(world.apply(up), Patched::Conflict(TaskState::Completed)));
    assert!(matches!(world.apply(patch(TaskId::from_raw(4_711))), Patched::NotFound));
}

pub(super) fn a_dead_letter_is_put_back_with_its_attempts_kept<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| task.attempts_max = 1);
    world.finish(claimed.task, 1, failure());
    let Redriven::Done(record) = world.apply(redrive(claimed.task)) else { panic!() };
    assert_eq!((record.status.state, record.status.failures), (TaskState::Queued, 0));
    assert_eq!((record.status.attempt, record.finished_at), (1, None));
    assert_eq!(*record, world.task(claimed.task));
    assert_eq!(world.events.last().unwrap().kind, EventKind::TaskRedriven);
    let again = world.claim(record.lane, claimed.agent, 1);
    assert_eq!((again[0].task, again[0].attempt), (claimed.task, 2));
}

pub(super) fn only_a_dead_letter_is_redriven<R: Rig>() {
    let mut world = World::<R>::new();
    let id = world.submit("t").id;
    assert!(matches!(world.apply(redrive(id)), Redriven::Conflict(TaskState::Queued)));
    assert!(matches!(world.apply(redrive(TaskId::from_raw(4_711))), Redriven::NotFound));
}

pub(super) fn a_redrive_counts_the_close_deadline_anew<R: Rig>() {
    let mut world = World::<R>::new();
    let record = world.submit_with("t", |task| task.timeouts.schedule_to_close_ms = Some(1_000));
    world.wait_ms(1_000);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 1);
    assert_eq!(world.task(record.id).error.unwrap().kind, "schedule_to_close_timeout");
    let Redriven::Done(record) = world.apply(redrive(record.id)) else { panic!() };
    assert_eq!(record.error, None);
    world.wait_ms(999);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 0);
    world.wait_ms(1);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 1);
}
