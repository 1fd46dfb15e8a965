//! Leases are renewed, expire and are reaped.

use domain::{AttemptError, EventKind, Outcome, TaskId, TaskState, Timeouts};

use super::Rig;
use super::world::{LEASE_MS, ME, World, success};
use crate::command::{CancelTask, Chore, GraceLeases, RenewLease, Sweep};
use crate::outcome::{Finished, Graced, Renewed, Swept};

pub(super) fn a_renewal_counts_from_now_and_stops_at_the_cap<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| task.timeouts.start_to_close_ms = Some(40_000));
    world.wait_ms(5_000);
    let renew = RenewLease { task: claimed.task, attempt: 1, reporter: None };
    let told = world.told(|world| {
        let lease_expires_at = world.now().plus_ms(LEASE_MS);
        assert_eq!(world.apply(renew), Renewed::Until { lease_expires_at, is_cancel_requested: false });
        assert_eq!(world.task(claimed.task).lease_expires_at, Some(lease_expires_at));
    });
    assert_eq!(told, [], "a heartbeat is not an event");
    world.wait_ms(20_000);
    let lease_expires_at = claimed.started_at.plus_ms(40_000);
    assert_eq!(world.apply(renew), Renewed::Until { lease_expires_at, is_cancel_requested: false });
}

pub(super) fn a_renewal_by_a_stale_attempt_is_refused<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    assert_eq!(world.apply(RenewLease { task: claimed.task, attempt: 2, reporter: None }), Renewed::Stale);
    world.finish(claimed.task, 1, success());
    assert_eq!(world.apply(RenewLease { task: claimed.task, attempt: 1, reporter: None }), Renewed::Stale);
    let nobody = RenewLease { task: TaskId::from_raw(4_711), attempt: 1, reporter: None };
    assert_eq!(world.apply(nobody), Renewed::NotFound);
}

pub(super) fn a_lost_lease_is_charged_and_comes_back_after_its_backoff<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.wait_ms(LEASE_MS - 1);
    assert_eq!(world.sweep(Chore::ReapLeases).count, 0, "not a moment too early");
    world.wait_ms(1);
    assert_eq!(world.sweep(Chore::ReapLeases), Swept { count: 1, next_at: None });
    let record = world.task(claimed.task);
    assert_eq!((record.status.state, record.status.failures), (TaskState::Scheduled, 1));
    assert_eq!(record.error.unwrap().kind, "lease_lost");
    assert!(record.eligible_at.unwrap() > world.now());
    assert_eq!(world.events.last().unwrap().kind, EventKind::TaskRetrying);
    assert_eq!(world.finish(claimed.task, 1, success()), Finished::Stale, "the late holder is fenced");
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::LeaseLost));
    assert_eq!(world.sweep(Chore::ReapLeases).count, 0);
}

pub(super) fn each_timeout_has_its_own_name<R: Rig>() {
    let mut world = World::<R>::new();
    let none = Timeouts::default();
    for (called, timeouts, kind, state) in [
        ("a", Timeouts { heartbeat_ms: Some(1_000), ..none }, "heartbeat_timeout", TaskState::Scheduled),
        (
            "b",
            Timeouts { start_to_close_ms: Some(900), ..none },
            "start_to_close_timeout",
            TaskState::Scheduled,
        ),
        (
            "c",
            Timeouts { schedule_to_close_ms: Some(800), ..none },
            "schedule_to_close_timeout",
            TaskState::Failed,
        ),
    ] {
        let claimed = world.working_with(called, |task| task.timeouts = timeouts);
        world.wait_ms(1_000);
        assert_eq!(world.sweep(Chore::ReapLeases).count, 1, "{kind}");
        let record = world.task(claimed.task);
        assert_eq!(record.error.map(|error| error.kind).as_deref(), Some(kind));
        assert_eq!((record.status.state, record.status.failures), (state, 1), "{kind}");
        let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
        assert_eq!(attempts[0].outcome, Some(Outcome::TimedOut));
    }
}

pub(super) fn a_task_beyond_its_close_deadline_is_not_tried_again<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| {
        task.timeouts.schedule_to_close_ms = Some(5_000);
        task.backoff.initial_ms = 60_000;
    });
    // A failure before the deadline still waits, but only until then.
    world.wait_ms(1_000);
    world.finish(claimed.task, 1, super::world::failure());
    assert_eq!(world.state(claimed.task), TaskState::Scheduled);
    world.wait_ms(4_000);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 1);
    let record = world.task(claimed.task);
    assert_eq!(record.status.state, TaskState::Failed);
    assert_eq!(
        record.error.map(|AttemptError { kind, .. }| kind).as_deref(),
        Some("schedule_to_close_timeout")
    );
}

pub(super) fn leases_get_grace_after_a_start<R: Rig>() {
    let mut world = World::<R>::new();
    let (one, two) = (world.working("ada"), world.working("bob"));
    world.wait_ms(LEASE_MS - 1_000);
    world.apply(RenewLease { task: two.task, attempt: 1, reporter: None });
    world.rig.reopen();
    world.wait_ms(5_000);
    assert_eq!(world.apply(GraceLeases { ttl_ms: 10_000 }), Graced { count: 1 });
    assert_eq!(world.task(one.task).lease_expires_at, Some(world.now().plus_ms(10_000)));
    assert_eq!(world.task(two.task).lease_expires_at, Some(world.now().plus_ms(LEASE_MS - 5_000)));
    assert_eq!(world.sweep(Chore::ReapLeases).count, 0);
    assert_eq!(world.apply(GraceLeases { ttl_ms: 10_000 }), Graced { count: 0 }, "safe to say twice");
}

pub(super) fn leases_that_a_clock_gave_that_was_ahead_end_in_their_time_after_a_start<R: Rig>() {
    let mut world = World::<R>::new();
    let (ahead, asked) = (world.working("ada"), world.working("bob"));
    let correlation_id = "r".into();
    let grace_ms = 900_000;
    world.apply(CancelTask { tenant: ME, task: asked.task, force: false, grace_ms, correlation_id });
    let lasts = world.task(asked.task).lease_expires_at;
    let hour_us = 3_600_000_000_i64;
    world.rig.spoil(&format!(
        "UPDATE tasks SET lease_expires_at = lease_expires_at + {hour_us} WHERE id = {}",
        ahead.task.raw()
    ));
    world.rig.reopen();
    assert_eq!(world.apply(GraceLeases { ttl_ms: 10_000 }), Graced { count: 1 });
    assert_eq!(world.task(ahead.task).lease_expires_at, Some(world.now().plus_ms(LEASE_MS)));
    assert_eq!(world.task(asked.task).lease_expires_at, lasts, "the grace of a cancel may be longer");
}

pub(super) fn a_renewal_does_not_take_grace_back<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| task.timeouts.heartbeat_ms = Some(1_000));
    world.apply(GraceLeases { ttl_ms: 60_000 });
    let lease_expires_at = world.now().plus_ms(60_000);
    let renewed = world.apply(RenewLease { task: claimed.task, attempt: 1, reporter: None });
    assert_eq!(renewed, Renewed::Until { lease_expires_at, is_cancel_requested: false });
}

pub(super) fn the_reaper_takes_no_more_than_its_limit_and_says_when_the_next_is_due<R: Rig>() {
    let mut world = World::<R>::new();
    for called in ["a", "b", "c"] {
        world.working(called);
        world.wait_ms(100);
    }
    world.wait_ms(LEASE_MS - 150);
    let reap = Sweep { chore: Chore::ReapLeases, limit: 1, chance: 0.0 };
    let first = world.apply(reap);
    assert_eq!((first.count, first.next_at), (1, Some(world.now().minus_ms(50))));
    let second = world.apply(reap);
    assert_eq!((second.count, second.next_at), (1, Some(world.now().plus_ms(50))));
    assert_eq!(world.apply(reap).count, 0);
}
