//! Attempts end on their holders' reports.

use domain::{AttemptError, Backoff, EventKind, Outcome, Report, TaskId, TaskState, Usage, WorkspaceReport};

use super::Rig;
use super::world::{ME, World, failure, handed_back, success, timed_out};
use crate::command::Chore;
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
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
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
    let four = world.working("dan");
    for (claimed, report, state) in [
        (one, success(), TaskState::Completed),
        (two, failure(), TaskState::Scheduled),
        (three, handed_back(), TaskState::Queued),
        (four, timed_out(), TaskState::Scheduled),
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
    assert_eq!(world.finish(claimed.task, 1, timed_out()), Finished::Stale);
    assert_eq!(world.state(claimed.task), TaskState::Scheduled);
}

pub(super) fn a_reported_timeout_is_charged_and_called_so<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let answer = world.finish(claimed.task, 1, timed_out());
    assert_eq!(answer, Finished::Done { state: TaskState::Scheduled });
    let record = world.task(claimed.task);
    assert_eq!(record.status.failures, 1);
    assert_eq!(record.error.unwrap().kind, "start_to_close_timeout");
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::TimedOut));
    let event = world.events.last().unwrap();
    assert_eq!(event.kind, EventKind::TaskRetrying);
    assert!(event.data.contains(r#""outcome":"timed_out","error_kind":"start_to_close_timeout""#));
}

pub(super) fn a_timeout_beyond_the_close_deadline_is_final<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working_with("ada", |task| task.timeouts.schedule_to_close_ms = Some(5_000));
    world.wait_ms(5_000);
    let answer = world.finish(claimed.task, 1, timed_out());
    assert_eq!(answer, Finished::Done { state: TaskState::Failed });
    assert_eq!(world.events.last().unwrap().kind, EventKind::TaskFailed);
    assert_eq!(world.finish(claimed.task, 1, timed_out()), Finished::Repeated { state: TaskState::Failed });
}

pub(super) fn what_an_attempt_cost_is_kept_however_it_ended<R: Rig>() {
    let mut world = World::<R>::new();
    let spent = Usage { cpu_ms: Some(1_200), peak_rss_bytes: Some(1 << 30), ..Usage::default() };
    let usage = Some(spent);
    let error = AttemptError { kind: "broken".into(), message: String::new() };
    for (called, report) in [
        ("a", Report::Succeeded { result: None, usage }),
        ("b", Report::Failed { error: error.clone(), retryable: true, usage }),
        ("c", Report::TimedOut { error, usage }),
        ("d", Report::HandedBack { reason: "shutdown", usage }),
    ] {
        let claimed = world.working(called);
        world.finish(claimed.task, 1, report);
        let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
        assert_eq!(attempts[0].usage, usage, "{called}");
        assert_eq!(world.task(claimed.task).usage, usage, "{called}");
    }
}

pub(super) fn what_an_attempt_left_in_its_workspace_is_kept<R: Rig>() {
    let mut world = World::<R>::new();
    let left = WorkspaceReport {
        path: "/data/workspaces/x-1".into(),
        branch: Some("hive/x-1".into()),
        base: Some("0123".into()),
        head: Some("4567".into()),
        files_changed: Some(3),
        diff: Some("+\u{1}\"ä\"\n".repeat(8_000)),
        is_kept: true,
    };
    let bare = WorkspaceReport { path: "/repo".into(), ..WorkspaceReport::default() };
    let claimed = world.working("ada");
    world.finish_in(claimed.task, 1, handed_back(), Some(left.clone()));
    let lane = world.task(claimed.task).lane;
    for (attempt, report, workspace) in
        [(2, handed_back(), None), (3, timed_out(), Some(bare.clone())), (4, success(), Some(left.clone()))]
    {
        world.wait_ms(60_000);
        world.sweep(Chore::StageDue);
        let again = world.claim(lane, claimed.agent, 1).remove(0);
        assert_eq!(again.attempt, attempt);
        assert!(matches!(world.finish_in(claimed.task, attempt, report, workspace), Finished::Done { .. }));
        world.wait_ms(60_000);
        world.sweep(Chore::StageDue);
    }
    world.rig.reopen();
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
    let workspaces: Vec<_> = attempts.into_iter().rev().map(|attempt| attempt.workspace).collect();
    assert_eq!(workspaces, [Some(left.clone()), None, Some(bare), Some(left)]);
    let detail = world.ask(|readers| readers.task(ME, claimed.task)).unwrap();
    assert_eq!(detail.result.as_deref(), Some(r#"{"ok":true}"#));
    let running = world.working("bob");
    let attempts = world.ask(|readers| readers.attempts(ME, running.task, u32::MAX, 9)).unwrap();
    assert_eq!(attempts[0].workspace, None);
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
