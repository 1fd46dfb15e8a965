//! What a submit means, and what it refuses.

use super::*;
use crate::request::{self, Unreadable};
use domain::Timestamp;

fn submit(body: &str) -> Result<NewTask, Unreadable> {
    request::read::<SubmitTask>(body.as_bytes(), &Limits::default())
}

fn broken(body: &str) -> Vec<String> {
    match submit(body) {
        Ok(_) => vec![],
        Err(Unreadable::InvalidValue(Violations(found))) => {
            found.into_iter().map(|violation| violation.field).collect()
        }
        Err(other) => vec![other.to_string()],
    }
}

#[test]
fn a_title_is_enough_and_everything_else_has_its_default() {
    let asked = submit(r#"{"title":"t"}"#).unwrap();
    assert_eq!(asked, NewTask::titled("t", "default".parse().unwrap()));
}

#[test]
fn every_field_arrives() {
    let id = domain::AgentId::from_raw(7);
    let body = format!(
        r#"{{"title":"t","input":{{ "b" : 1.0 }},"queue":"q","kind":"k","priority":9,"requires":["b","a","b"],
        "labels":{{"team":"x"}},"agent_id":"{id}","eligible_at":"2026-01-31T12:00:00Z","attempts_max":7,
        "backoff":{{"initial_ms":5}},"timeouts":{{"heartbeat_ms":2000}}}}"#
    );
    let asked = submit(&body).unwrap();
    assert_eq!(asked.input.as_deref(), Some(r#"{ "b" : 1.0 }"#), "byte for byte");
    assert_eq!(asked.requires.len(), 2);
    assert_eq!(asked.agent_id, Some(id));
    assert_eq!(asked.start, Start::At(Timestamp::from_micros(1_769_860_800_000_000)));
    assert_eq!((asked.priority, asked.attempts_max), (9, 7));
    assert_eq!((asked.backoff.initial_ms, asked.backoff.max_ms), (5, 300_000), "the rest keeps its default");
    assert_eq!(asked.timeouts.heartbeat_ms, Some(2_000));
}

#[test]
fn what_a_client_builds_is_what_the_hive_reads() {
    let built = SubmitTask {
        title: "t".into(),
        input: Some(RawValue::from_string("[1, 2]".into()).unwrap()),
        delay_ms: Some(5),
        labels: BTreeMap::from([("a".into(), "b".into())]),
        ..SubmitTask::default()
    };
    let asked = submit(&serde_json::to_string(&built).unwrap()).unwrap();
    assert_eq!(asked.input.as_deref(), Some("[1, 2]"));
    assert_eq!(asked.start, Start::After(5));
    let least = SubmitTask { title: "t".into(), ..SubmitTask::default() };
    assert_eq!(serde_json::to_string(&least).unwrap(), r#"{"title":"t"}"#);
}

#[test]
fn every_broken_rule_is_told_with_its_field() {
    let table = [
        (r#"{}"#, vec!["title"]),
        (r#"{"title":" "}"#, vec!["title"]),
        (r#"{"title":"a\u0000"}"#, vec!["title"]),
        (r#"{"title":"t","priority":10}"#, vec!["priority"]),
        (r#"{"title":"t","priority":3000000000}"#, vec!["priority"]),
        (r#"{"title":"t","queue":"A","kind":"B"}"#, vec!["queue", "kind"]),
        (r#"{"title":"t","agent_id":"7"}"#, vec!["agent_id"]),
        (r#"{"title":"t","delay_ms":1,"eligible_at":"2026-01-31T12:00:00Z"}"#, vec!["eligible_at"]),
        (r#"{"title":"t","eligible_at":"soon"}"#, vec!["eligible_at"]),
        (r#"{"title":"t","requires":["a","B","C"]}"#, vec!["requires[1]", "requires[2]"]),
        (r#"{"title":"t","labels":{"Ä":"x"}}"#, vec!["labels.Ä"]),
        (r#"{"title":"t","input":"\u0000"}"#, vec!["input"]),
        (
            r#"{"title":"t","attempts_max":101,"backoff":{"factor":0}}"#,
            vec!["attempts_max", "backoff.factor"],
        ),
    ];
    for (body, expected) in table {
        assert_eq!(broken(body), expected, "{body}");
    }
}

#[test]
fn null_is_as_good_as_missing_where_a_field_may_be_missing() {
    assert_eq!(
        broken(r#"{"title":"t","input":null,"queue":null,"backoff":null,"priority":null}"#),
        Vec::<String>::new()
    );
}

#[test]
fn a_list_of_names_is_counted_with_its_repeats_and_each_rule_is_told_once() {
    let with = |names: &[String]| broken(&serde_json::json!({"title": "t", "requires": names}).to_string());
    let same = vec!["a".to_owned(); 17];
    let others: Vec<String> = (0..17).map(|number| format!("n{number}")).collect();
    assert_eq!(with(&same[1..]), Vec::<String>::new());
    assert_eq!((with(&same), with(&others)), (vec!["requires".to_owned()], vec!["requires".to_owned()]));
}

#[test]
fn whole_numbers_may_come_as_floats() {
    let asked =
        submit(r#"{"title":"t","priority":9.0,"attempts_max":1e1,"timeouts":{"heartbeat_ms":2e3}}"#).unwrap();
    assert_eq!((asked.priority, asked.attempts_max), (9, 10));
    assert_eq!(asked.timeouts.heartbeat_ms, Some(2_000));
    assert_eq!(broken(r#"{"title":"t","priority":8.5}"#), ["priority"]);
}
