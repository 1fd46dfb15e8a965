//! Tasks are canceled.

use domain::{EventKind, Outcome, Start, TaskId, TaskState, TenantId};

use super::Rig;
use super::world::{ME, World, failure, success};
use crate::command::{CancelTask, Chore};
use crate::outcome::{Canceled, Finished};

fn cancel(task: TaskId) -> CancelTask {
    CancelTask { tenant: ME, task, force: false, grace_ms: 5_000, correlation_id: "req-9".into() }
}

fn force(task: TaskId) -> CancelTask {
    CancelTask { force: true, ..cancel(task) }
}

pub(super) fn a_waiting_task_is_canceled_at_once<R: Rig>() {
    let mut world = World::<R>::new();
    let queued = world.submit("queued");
    let delayed = world.submit_with("delayed", |task| task.start = Start::After(9_000));
    for id in [queued.id, delayed.id] {
        let Canceled::Done(record) = world.apply(cancel(id)) else { panic!() };
        assert_eq!(record.status.state, TaskState::Canceled);
        assert_eq!((record.finished_at, record.eligible_at), (Some(world.now()), None));
        assert_eq!(*record, world.task(id));
        let event = world.events.last().unwrap();
        assert_eq!((event.kind, event.attempt), (EventKind::TaskCanceled, None));
        assert_eq!(&*event.correlation_id, "req-9");
    }
}

pub(super) fn a_working_one_is_asked_and_its_failure_cancels_it<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let Canceled::Done(record) = world.apply(cancel(claimed.task)) else { panic!() };
    assert_eq!(record.status.state, TaskState::Working);
    assert!(record.status.is_cancel_requested);
    assert_eq!(record.lease_expires_at, Some(world.now().plus_ms(5_000)), "the grace bounds the lease");
    let event = world.events.last().unwrap();
    assert_eq!((event.kind, event.moved), (EventKind::TaskCancelRequested, None));
    assert_eq!((event.agent, event.attempt), (Some(claimed.agent), Some(1)));
    let answer = world.finish(claimed.task, 1, failure());
    assert_eq!(answer, Finished::Done { state: TaskState::Canceled });
    assert_eq!(world.finish(claimed.task, 1, failure()), Finished::Repeated { state: TaskState::Canceled });
}

pub(super) fn a_success_that_comes_first_wins<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.apply(cancel(claimed.task));
    let answer = world.finish(claimed.task, 1, success());
    assert_eq!(answer, Finished::Done { state: TaskState::Completed });
}

pub(super) fn a_holder_that_does_not_end_is_reaped<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.apply(cancel(claimed.task));
    world.wait_ms(4_000);
    world.apply(crate::command::RenewLease { task: claimed.task, attempt: 1, reporter: None });
    world.wait_ms(1_000);
    assert_eq!(world.sweep(Chore::ReapLeases).count, 1, "heartbeats do not prolong the grace");
    let record = world.task(claimed.task);
    assert_eq!((record.status.state, record.status.failures), (TaskState::Canceled, 0));
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::Canceled));
}

pub(super) fn force_takes_it_at_once_and_its_report_is_stale<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let Canceled::Done(record) = world.apply(force(claimed.task)) else { panic!() };
    assert_eq!((record.status.state, record.lease_expires_at), (TaskState::Canceled, None));
    assert_eq!(world.events.last().unwrap().agent, Some(claimed.agent));
    assert_eq!(world.finish(claimed.task, 1, success()), Finished::Stale);
    assert_eq!(world.finish(claimed.task, 1, failure()), Finished::Stale);
}

pub(super) fn a_second_cancel_answers_the_same_and_writes_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let working = world.working("ada").task;
    let waiting = world.submit("t").id;
    for id in [working, waiting] {
        let Canceled::Done(first) = world.apply(cancel(id)) else { panic!() };
        world.wait_ms(1_000);
        let told = world.told(|world| {
            let Canceled::Done(second) = world.apply(cancel(id)) else { panic!() };
            assert_eq!(second, first);
        });
        assert_eq!(told, []);
    }
    let Canceled::Done(record) = world.apply(force(working)) else { panic!() };
    assert_eq!(record.status.state, TaskState::Canceled, "force still goes further");
}

pub(super) fn what_has_ended_cannot_be_canceled<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.finish(claimed.task, 1, success());
    assert!(matches!(world.apply(cancel(claimed.task)), Canceled::Conflict(TaskState::Completed)));
    assert!(matches!(world.apply(force(claimed.task)), Canceled::Conflict(TaskState::Completed)));
}

pub(super) fn another_tenants_task_is_not_found<R: Rig>() {
    let mut world = World::<R>::new();
    let id = world.submit("mine").id;
    let foreign = CancelTask { tenant: TenantId(2), ..cancel(id) };
    assert!(matches!(world.apply(foreign), Canceled::NotFound));
    assert!(matches!(world.apply(cancel(TaskId::from_raw(4_711))), Canceled::NotFound));
    assert_eq!(world.state(id), TaskState::Queued);
}
