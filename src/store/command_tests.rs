//! What makes a command long.

use std::collections::BTreeMap;

use domain::{AttemptError, ProcessLink, Secret};

use super::*;

fn finish(report: Report, diff: Option<String>) -> Command {
    let workspace = diff.map(|diff| WorkspaceReport { diff: Some(diff), ..WorkspaceReport::default() });
    let task = TaskId::from_raw(1);
    FinishAttempt {
        task,
        attempt: 1,
        report,
        workspace,
        chance: 0.0,
        correlation_id: "r".into(),
        reporter: None,
    }
    .into()
}

#[test]
fn what_makes_a_command_long_is_counted() {
    let error = AttemptError { kind: "x".into(), message: "m".repeat(500) };
    let long = || "x".repeat(1_000);
    let succeeded = Report::Succeeded { result: Some(long()), usage: None };
    let env = BTreeMap::from([("KEY".to_owned(), Secret::new(long()))]);
    let link = ProcessLink { command: vec![long()], args: vec![long()], env, ..ProcessLink::default() };
    let patch = AgentPatch { link: Some(Link::Process(Box::new(link))), ..AgentPatch::default() };
    let change = AgentEdit::Patch { patch, seen: None };
    let (tenant, agent) = (TenantId::DEFAULT, AgentId::from_raw(1));
    for (command, bytes) in [
        (finish(succeeded.clone(), None), 1_000),
        (finish(succeeded, Some(long())), 2_000),
        (finish(Report::Failed { error: error.clone(), retryable: true, usage: None }, None), 500),
        (finish(Report::TimedOut { error, usage: None }, Some(long())), 1_500),
        (finish(Report::HandedBack { reason: "r", usage: None }, Some(long())), 1_000),
        (ChangeAgent { tenant, agent, change, correlation_id: "r".into() }.into(), 3_003),
    ] {
        assert_eq!(command.bytes(), bytes, "{}", command.kind());
    }
}

#[test]
fn a_command_is_cheap_to_move() {
    assert!(size_of::<Command>() <= 96, "{}", size_of::<Command>());
}
