//! Janitors of waiting tasks.

use domain::{Backoff, EventKind, Start, TaskState};

use super::Rig;
use super::world::{World, failure};
use crate::command::{Chore, Sweep};
use crate::outcome::Swept;

pub(super) fn due_tasks_are_queued_longest_due_first<R: Rig>() {
    let mut world = World::<R>::new();
    let late = world.submit_with("late", |task| task.start = Start::After(300));
    let soon = world.submit_with("soon", |task| task.start = Start::After(100));
    assert_eq!(world.sweep(Chore::StageDue), Swept { count: 0, next_at: Some(world.now().plus_ms(100)) });
    world.wait_ms(300);
    let one = Sweep { chore: Chore::StageDue, limit: 1, chance: 0.0 };
    assert_eq!(world.apply(one), Swept { count: 1, next_at: Some(world.now()) });
    assert_eq!((world.state(soon.id), world.state(late.id)), (TaskState::Queued, TaskState::Scheduled));
    assert_eq!(world.task(soon.id).eligible_at, None);
    let event = world.events.last().unwrap();
    assert_eq!((event.kind, event.moved.unwrap().from), (EventKind::TaskQueued, Some(TaskState::Scheduled)));
    assert_eq!(&*event.correlation_id, "req-1");
    assert_eq!(world.sweep(Chore::StageDue), Swept { count: 1, next_at: None });
    assert_eq!(world.sweep(Chore::StageDue), Swept { count: 0, next_at: None });
}

pub(super) fn a_task_nobody_claims_in_time_is_a_dead_letter<R: Rig>() {
    let mut world = World::<R>::new();
    let queued = world.submit_with("queued", |task| task.timeouts.schedule_to_start_ms = Some(100));
    let delayed = world.submit_with("delayed", |task| {
        task.start = Start::After(50);
        task.timeouts.schedule_to_start_ms = Some(100);
    });
    world.wait_ms(50);
    world.sweep(Chore::StageDue);
    world.wait_ms(50);
    let swept = world.sweep(Chore::ExpireWaiting);
    assert_eq!((swept.count, swept.next_at), (1, Some(world.now().plus_ms(50))), "counted from ready");
    let record = world.task(queued.id);
    assert_eq!((record.status.state, record.finished_at), (TaskState::Failed, Some(world.now())));
    assert_eq!(record.error.unwrap().kind, "schedule_to_start_timeout");
    assert!(world.events.last().unwrap().data.contains("schedule_to_start_timeout"));
    world.wait_ms(50);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 1);
    assert_eq!(world.state(delayed.id), TaskState::Failed);
}

pub(super) fn a_backoff_restarts_the_wait_but_not_the_close_deadline<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| {
        task.timeouts.schedule_to_start_ms = Some(1_000);
        task.timeouts.schedule_to_close_ms = Some(60_000);
        task.backoff = Backoff { initial_ms: 5_000, factor: 1.0, max_ms: 5_000, jitter: 0.0 };
    });
    world.wait_ms(10_000);
    world.finish(claimed.task, 1, failure());
    world.wait_ms(5_000);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 0, "it waits for its backoff, not for an agent");
    assert_eq!(world.sweep(Chore::StageDue).count, 1);
    world.wait_ms(999);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 0);
    world.wait_ms(1);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 1);
    assert_eq!(world.task(claimed.task).error.unwrap().kind, "schedule_to_start_timeout");
}

pub(super) fn next_due_follows_what_waits<R: Rig>() {
    let mut world = World::<R>::new();
    let due = |world: &World<R>, chore| world.ask(|readers| readers.next_due(chore));
    let keeps_ms = 86_400_000;
    let all = |world: &World<R>| {
        let before = world.now().minus_ms(keeps_ms);
        [Chore::StageDue, Chore::ReapLeases, Chore::ExpireWaiting, Chore::RetireTasks(before)]
            .map(|chore| due(world, chore).map(|at| at.ms_since(world.now())))
    };
    assert_eq!(all(&world), [None; 4]);
    let claimed = world.working("ada");
    world.submit_with("t", |task| {
        task.start = Start::After(7);
        task.timeouts.schedule_to_start_ms = Some(5);
    });
    assert_eq!(all(&world), [Some(7), Some(super::world::LEASE_MS), Some(12), None]);
    world.finish(claimed.task, 1, super::world::success());
    assert_eq!(all(&world), [Some(7), None, Some(12), Some(keeps_ms)]);
}
