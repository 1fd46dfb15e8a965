//! Tests of the audit: everything that can be wrong with a task is found, and nothing else.

use domain::Timestamp;
use protocol::{ErrorView, UsageView};

use super::*;
use crate::demo::crew;
use serde_json::value::RawValue;
use serde_json::{from_value, json};

const AGENT: &str = "agent_0000000000001";

/// A task as the API shows it when all went well.
fn evidence(stumbles: bool) -> (Given, Evidence, Agents) {
    let members = crew::members(6);
    let mut jobs = crew::jobs(&members).into_iter();
    let (role, job) = jobs.find(|(_, job)| job.stumbles == stumbles).unwrap();
    let id = domain::TaskId::from_raw(7);
    let result = RawValue::from_string(job.expected.to_string()).unwrap();
    let count = if stumbles { 2 } else { 1 };
    let task = json!({
        "id": id.to_string(), "tenant": "default", "title": job.title, "kind": null, "queue": "demo",
        "priority": 5, "requires": [], "labels": {}, "state": "completed", "attempt": count,
        "failures": count - 1, "attempts_max": 3, "crashes": 0, "progress": null, "agent_id": AGENT,
        "cancel_requested": false, "eligible_at": null, "created_at": "2026-11-21T10:00:00.000000Z",
        "started_at": null, "finished_at": null, "lease_expires_at": null, "error": null, "usage": null,
        "timeouts": {}, "backoff": {}, "correlation_id": "c", "created_by": "admin",
    });
    let task = TaskView { result: Some(result), ..from_value(task).unwrap() };
    let attempts = (1..=count).map(|number| attempt(number, number == count)).collect();
    let printed = stumbles.then(|| format!("found her\n{LAST_WORDS}\n"));
    let agents = Agents::from([(AGENT.parse().unwrap(), role)]);
    (Given { id, role, job }, Evidence { task, attempts, printed }, agents)
}

fn attempt(number: u32, is_good: bool) -> AttemptView {
    let start = i64::from(number) * 1_000;
    let error = ErrorView { kind: "signal".to_owned(), message: "SIGKILL".to_owned() };
    AttemptView {
        attempt: number,
        agent_id: Some(AGENT.parse().unwrap()),
        started_at: Timestamp::from_micros(start),
        ended_at: Some(Timestamp::from_micros(start + 500)),
        outcome: Some(if is_good { Outcome::Succeeded } else { Outcome::Failed }),
        error: (!is_good).then_some(error),
        usage: Some(UsageView { cpu_ms: Some(0), peak_rss_bytes: Some(1), ..UsageView::default() }),
        workspace: None,
    }
}

/// What the audit says after something was changed in a task that went well.
fn after(stumbles: bool, change: impl FnOnce(&mut Evidence)) -> String {
    let (given, mut evidence, agents) = evidence(stumbles);
    assert_eq!(differences(&given, &evidence, &agents), Vec::<String>::new());
    change(&mut evidence);
    differences(&given, &evidence, &agents).join("; ")
}

#[test]
fn a_result_that_differs_in_a_letter_is_found_and_so_is_one_that_is_missing() {
    let said = after(false, |evidence| {
        let text = evidence.task.result.take().unwrap().get().replacen('e', "a", 1);
        evidence.task.result = Some(RawValue::from_string(text).unwrap());
    });
    assert!(said.starts_with("the result is {") && said.contains("and must be {"), "{said}");
    let said = after(false, |evidence| evidence.task.result = None);
    assert!(said.starts_with("the result is missing and must be {"), "{said}");
}

#[test]
fn a_task_that_did_not_complete_is_found_with_its_error() {
    let said = after(false, |evidence| {
        evidence.task.state = TaskState::Failed;
        evidence.task.error = Some(ErrorView { kind: "x".to_owned(), message: "out of honey".to_owned() });
    });
    assert_eq!(said, "it is failed: out of honey");
}

#[test]
fn an_attempt_too_many_too_few_or_with_another_number_is_found() {
    let said = after(false, |evidence| {
        evidence.attempts.push(attempt(2, true));
        evidence.task.attempt = 2;
    });
    assert_eq!(said, "its attempts ended [\"succeeded\", \"succeeded\"] and must have ended [\"succeeded\"]");
    let said = after(true, |evidence| drop(evidence.attempts.remove(0)));
    assert!(said.contains("its 2 attempts have the numbers [2]"), "{said}");
    let said = after(true, |evidence| {
        for attempt in &mut evidence.attempts {
            attempt.attempt += 1;
        }
    });
    assert!(said.contains("its 2 attempts have the numbers [2, 3]"), "{said}");
    let said = after(false, |evidence| evidence.attempts.clear());
    assert!(said.contains("its 1 attempts have the numbers []"), "{said}");
}

#[test]
fn a_crash_that_did_not_come_or_came_in_another_way_is_found() {
    let said = after(true, |evidence| {
        evidence.attempts[0].error.as_mut().unwrap().kind = "exit_code".to_owned();
    });
    assert!(
        said.contains("[\"failed: exit_code\", \"succeeded\"] and must have ended [\"failed: signal\""),
        "{said}"
    );
    let said = after(true, |evidence| {
        evidence.attempts.remove(0);
        evidence.attempts[0].attempt = 1;
        (evidence.task.attempt, evidence.task.failures) = (1, 0);
    });
    assert!(said.contains("must have ended [\"failed: signal\", \"succeeded\"]"), "{said}");
    let said = after(false, |evidence| evidence.task.crashes = 1);
    assert_eq!(said, "it counts 0 failures and 1 crashes of the hive");
}

#[test]
fn an_attempt_without_usage_with_a_strange_holder_or_without_an_end_is_found() {
    let said = after(false, |evidence| evidence.attempts[0].usage = None);
    assert_eq!(said, "attempt 1 does not say what it used");
    let said = after(false, |evidence| evidence.attempts[0].agent_id = None);
    assert_eq!(said, "attempt 1 was held by a stranger in place of production");
    let said = after(false, |evidence| evidence.attempts[0].ended_at = None);
    assert_eq!(said, "attempt 1 has no end after its start");
    let (given, evidence, mut agents) = evidence(false);
    agents.values_mut().for_each(|role| *role = 5);
    let said = differences(&given, &evidence, &agents).join("; ");
    assert_eq!(said, "attempt 1 was held by quality in place of production");
}

#[test]
fn attempts_that_overlap_and_output_that_was_lost_are_found() {
    let said = after(true, |evidence| evidence.attempts[1].started_at = Timestamp::from_micros(1_100));
    assert_eq!(said, "two attempts ran at the same time");
    let said = after(true, |evidence| evidence.printed = Some("found her\n".to_owned()));
    assert!(said.ends_with("without its last words"), "{said}");
}
