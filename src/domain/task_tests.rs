//! Every state of a task meets every happening.

use proptest::prelude::*;

use super::*;

const HELD: u32 = 3;

fn status(state: TaskState) -> TaskStatus {
    TaskStatus { state, attempt: HELD, failures: 0, attempts_max: 3, crashes: 0, is_cancel_requested: false }
}

fn happenings() -> [Happening; 14] {
    [
        Happening::Due,
        Happening::Claimed,
        Happening::Succeeded { attempt: HELD },
        Happening::Succeeded { attempt: HELD - 1 },
        Happening::Failed { attempt: HELD, retryable: true },
        Happening::Failed { attempt: HELD, retryable: false },
        Happening::TimedOut { attempt: HELD },
        Happening::LeaseLost { attempt: HELD },
        Happening::Interrupted { attempt: HELD },
        Happening::CancelRequested { force: false },
        Happening::CancelRequested { force: true },
        Happening::Expired,
        Happening::Redriven,
        Happening::Crashed { attempt: HELD },
    ]
}

/// What one cell of the table says: the state afterwards, `same`, `note`, `stale` or `no`.
fn told(state: TaskState, happening: Happening) -> &'static str {
    match transition(status(state), happening) {
        Ok(Next::Unchanged) => "same",
        Ok(Next::CancelNoted(_)) => "note",
        Ok(Next::Moved { status, .. }) => status.state.as_str(),
        Err(Refused::StaleAttempt) => "stale",
        Err(Refused::State(_)) => "no",
    }
}

#[test]
fn every_state_times_every_happening_is_as_the_table_says() {
    #[rustfmt::skip]
    let table = [
        // due      claimed    done        done(old)  fail         fail!      time-out     lease lost   hand back  cancel      cancel!     expired   redriven  crash
        ["queued", "no",      "stale",     "stale",   "stale",     "stale",   "stale",     "stale",     "stale",   "canceled", "canceled", "failed", "no",     "stale"],
        ["no",     "working", "stale",     "stale",   "stale",     "stale",   "stale",     "stale",     "stale",   "canceled", "canceled", "failed", "no",     "stale"],
        ["no",     "no",      "completed", "stale",   "scheduled", "failed",  "scheduled", "scheduled", "queued",  "note",     "canceled", "no",     "no",     "queued"],
        ["no",     "no",      "stale",     "stale",   "stale",     "stale",   "stale",     "stale",     "stale",   "no",       "no",       "no",     "no",     "stale"],
        ["no",     "no",      "stale",     "stale",   "stale",     "stale",   "stale",     "stale",     "stale",   "no",       "no",       "no",     "queued", "stale"],
        ["no",     "no",      "stale",     "stale",   "stale",     "stale",   "stale",     "stale",     "stale",   "same",     "same",     "no",     "no",     "stale"],
    ];
    for (state, row) in TaskState::ALL.into_iter().zip(table) {
        let told: Vec<_> = happenings().into_iter().map(|happening| told(state, happening)).collect();
        assert_eq!(told, row, "{}", state.as_str());
    }
}

#[test]
fn the_last_allowed_failure_makes_a_dead_letter_and_keeps_its_outcome() {
    let last = TaskStatus { failures: 2, ..status(TaskState::Working) };
    let next = transition(last, Happening::TimedOut { attempt: HELD }).unwrap();
    let Next::Moved { status, outcome, backs_off } = next else { panic!("{next:?}") };
    assert_eq!((status.state, status.failures), (TaskState::Failed, 3));
    assert_eq!((outcome, backs_off), (Some(Outcome::TimedOut), false));
}

#[test]
fn a_crash_of_the_hive_is_not_charged_but_the_third_makes_a_dead_letter() {
    let mut now = status(TaskState::Working);
    for crashes in 1..=2 {
        let next = transition(now, Happening::Crashed { attempt: HELD }).unwrap();
        let Next::Moved { status, outcome, backs_off } = next else { panic!("{next:?}") };
        assert_eq!((status.state, outcome, backs_off), (TaskState::Queued, Some(Outcome::Crashed), false));
        assert_eq!((status.failures, status.crashes), (0, crashes));
        now = TaskStatus { state: TaskState::Working, ..status };
    }
    let next = transition(now, Happening::Crashed { attempt: HELD }).unwrap();
    let Next::Moved { status, outcome, .. } = next else { panic!("{next:?}") };
    assert_eq!((status.state, status.crashes), (TaskState::Failed, CRASHES_MAX));
    assert_eq!((status.failures, outcome), (0, Some(Outcome::Crashed)));
}

#[test]
fn a_cancel_that_was_asked_turns_every_bad_end_into_canceled_but_a_success_wins() {
    let asked = TaskStatus { is_cancel_requested: true, ..status(TaskState::Working) };
    for bad in [
        Happening::Failed { attempt: HELD, retryable: true },
        Happening::TimedOut { attempt: HELD },
        Happening::LeaseLost { attempt: HELD },
        Happening::Interrupted { attempt: HELD },
        Happening::Crashed { attempt: HELD },
        Happening::CancelRequested { force: true },
    ] {
        let next = transition(asked, bad).unwrap();
        let Next::Moved { status, outcome, .. } = next else { panic!("{next:?}") };
        assert_eq!((status.state, outcome), (TaskState::Canceled, Some(Outcome::Canceled)));
        assert_eq!(status.failures, 0, "a canceled attempt is not charged");
    }
    let next = transition(asked, Happening::Succeeded { attempt: HELD }).unwrap();
    let Next::Moved { status, .. } = next else { panic!("{next:?}") };
    assert_eq!(status.state, TaskState::Completed);
    assert_eq!(transition(asked, Happening::CancelRequested { force: false }), Ok(Next::Unchanged));
}

#[test]
fn a_redriven_task_starts_with_no_failures_and_keeps_its_fencing_number() {
    let dead = TaskStatus { failures: 3, crashes: 3, is_cancel_requested: true, ..status(TaskState::Failed) };
    let Ok(Next::Moved { status, outcome: None, .. }) = transition(dead, Happening::Redriven) else {
        panic!()
    };
    assert_eq!(
        status,
        TaskStatus { failures: 0, crashes: 0, is_cancel_requested: false, state: TaskState::Queued, ..dead }
    );
}

fn any_happening() -> impl Strategy<Value = Happening> {
    (0usize..14).prop_map(|index| happenings()[index])
}

proptest! {
    #[test]
    fn along_any_history_attempts_only_grow_and_a_task_completes_once(
        history in prop::collection::vec((any_happening(), 0u32..6), 0..200)
    ) {
        let mut now = TaskStatus { attempt: 0, ..status(TaskState::Queued) };
        let mut completions = 0;
        for (happening, attempt) in history {
            let happening = match happening {
                Happening::Succeeded { .. } => Happening::Succeeded { attempt },
                Happening::Failed { retryable, .. } => Happening::Failed { attempt, retryable },
                Happening::LeaseLost { .. } => Happening::LeaseLost { attempt },
                other => other,
            };
            let next = match transition(now, happening) {
                Ok(Next::Moved { status, .. } | Next::CancelNoted(status)) => status,
                Ok(Next::Unchanged) | Err(_) => now,
            };
            prop_assert!(next.attempt >= now.attempt);
            prop_assert!(next.failures <= next.attempts_max);
            prop_assert!(now.state != TaskState::Completed || next == now, "completed is the end");
            completions += u32::from(next.state == TaskState::Completed && now.state != TaskState::Completed);
            now = next;
        }
        prop_assert!(completions <= 1);
    }
}
