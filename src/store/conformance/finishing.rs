//! Attempts end on their holders' reports.

use domain::{AttemptError, Backoff, EventKind, Outcome, Report, TaskId, TaskState, Usage};

use super::Rig;
use super::world::{ME, World, failure, handed_back, success};
use crate::outcome::Finished;

pub(super) fn a_success_completes_and_keeps_its_result<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.wait_ms(10);
    let usage = Usage { input_tokens: Some(7), cost_usd: Some(0.25), ..Usage::default() };
    let report = Report::Succeeded { result: Some(r#"{"x": [1, 2]}"#.into()), usage: Some(usage) };
    let answer = world.finish(claimed.task, 1, report);
    assert_eq!(answer, Finished::Done { state: TaskState::Completed });
    let detail = world.ask(|readers| readers.task(ME, claimed.task)).unwrap();
    assert_eq!(detail.result.as_deref(), Some(r#"{"x": [1, 2]}"#));
    assert_eq!((detail.record.usage, detail.record.error), (Some(usage), None));
    assert_eq!(detail.record.finished_at, Some(world.now()));
    assert_eq!((detail.record.lease_expires_at, detail.record.agent), (None, Some(claimed.agent)));
    let event = world.events.last().unwrap();
    assert_eq!(
        (event.kind, event.agent, event.attempt),
        (EventKind::TaskCompleted, Some(claimed.agent), Some(1))
    );
}

pub(super) fn a_failure_waits_for_its_backoff<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| {
        task.backoff = Backoff { initial_ms: 1_000, factor: 2.0, max_ms: 10_000, jitter: 0.0 };
    });
    let answer = world.finish(claimed.task, 1, failure());
    assert_eq!(answer, Finished::Done { state: TaskState::Scheduled });
    let record = world.task(claimed.task);
    assert_eq!(record.eligible_at, Some(world.now().plus_ms(1_000)));
    assert_eq!((record.status.failures, record.status.attempt), (1, 1));
    assert_eq!(record.error, Some(AttemptError { kind: "broken".into(), message: "it broke".into() }));
    assert_eq!(record.lease_expires_at, None);
    let event = world.events.last().unwrap();
    assert_eq!(event.kind, EventKind::TaskRetrying);
    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!((&data["outcome"], &data["error_kind"]), (&"failed".into(), &"broken".into()));
    assert_eq!(data["eligible_at_us"].as_i64(), record.eligible_at.map(|at| at.as_micros()));
}

pub(super) fn the_last_failure_makes_a_dead_letter<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| task.attempts_max = 1);
    let answer = world.finish(claimed.task, 1, failure());
    assert_eq!(answer, Finished::Done { state: TaskState::Failed });
    assert_eq!(world.events.last().unwrap().kind, EventKind::TaskFailed);
    assert_eq!(world.task(claimed.task).finished_at, Some(world.now()));
}

pub(super) fn a_failure_that_cannot_be_retried_is_final<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let error = AttemptError { kind: "bad_input".into(), message: String::new() };
    let answer = world.finish(claimed.task, 1, Report::Failed { error, retryable: false, usage: None });
    assert_eq!(answer, Finished::Done { state: TaskState::Failed });
}

pub(super) fn an_attempt_handed_back_is_not_charged<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let answer = world.finish(claimed.task, 1, handed_back());
    assert_eq!(answer, Finished::Done { state: TaskState::Queued });
    let record = world.task(claimed.task);
    assert_eq!((record.status.failures, record.status.attempt), (0, 1));
    assert_eq!(world.events.last().unwrap().kind, EventKind::TaskReleased);
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task)).unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::Interrupted));
    let again = world.claim(record.lane, claimed.agent, 1);
    assert_eq!(again[0].attempt, 2, "the fencing number grows all the same");
}

pub(super) fn a_stale_attempt_changes_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.finish(claimed.task, 1, handed_back());
    let lane = world.task(claimed.task).lane;
    world.claim(lane, claimed.agent, 1);
    let before = world.task(claimed.task);
    let told = world.told(|world| {
        assert_eq!(world.finish(claimed.task, 1, success()), Finished::Stale);
        assert_eq!(world.finish(claimed.task, 3, failure()), Finished::Stale);
        assert_eq!(world.finish(claimed.task, 0, handed_back()), Finished::Stale);
    });
    assert_eq!(told, []);
    assert_eq!(world.task(claimed.task), before);
}

pub(super) fn a_repeated_report_is_told_so<R: Rig>() {
    let mut world = World::<R>::new();
    let (one, two, three) = (world.working("ada"), world.working("bob"), world.working("eve"));
    for (claimed, report, state) in [
        (one, success(), TaskState::Completed),
        (two, failure(), TaskState::Scheduled),
        (three, handed_back(), TaskState::Queued),
    ] {
        assert_eq!(world.finish(claimed.task, 1, report.clone()), Finished::Done { state });
        let told = world.told(|world| {
            assert_eq!(world.finish(claimed.task, 1, report), Finished::Repeated { state });
        });
        assert_eq!(told, []);
    }
}

pub(super) fn another_report_for_an_ended_attempt_is_stale<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.finish(claimed.task, 1, failure());
    assert_eq!(world.finish(claimed.task, 1, success()), Finished::Stale);
    assert_eq!(world.state(claimed.task), TaskState::Scheduled);
}

pub(super) fn an_unknown_task_is_not_found<R: Rig>() {
    let mut world = World::<R>::new();
    assert_eq!(world.finish(TaskId::from_raw(4_711), 1, success()), Finished::NotFound);
}

pub(super) fn long_errors_are_cut<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let error = AttemptError { kind: "\u{1}ä".repeat(100), message: "ä".repeat(20_000) };
    world.finish(claimed.task, 1, Report::Failed { error, retryable: true, usage: None });
    let error = world.task(claimed.task).error.unwrap();
    assert_eq!(error.kind.chars().count(), 64);
    assert_eq!(error.message, "ä".repeat(8 * 1024));
}
