//! What a strict reading refuses, and how it says so.

use super::*;
use crate::{CancelTask, FailRequest, FinishMany, SubmitTask};

fn submit(body: &str) -> Result<domain::NewTask, Unreadable> {
    read::<SubmitTask>(body.as_bytes(), &Limits::default())
}

/// Fields and messages of a refusal.
fn told(refused: Unreadable) -> Vec<(String, String)> {
    match refused {
        Unreadable::Malformed(why) => vec![("malformed".into(), why)],
        Unreadable::UnknownField(Violations(found)) | Unreadable::InvalidValue(Violations(found)) => {
            found.into_iter().map(|violation| (violation.field, violation.message)).collect()
        }
    }
}

fn fields(refused: Unreadable) -> Vec<String> {
    told(refused).into_iter().map(|(field, _)| field).collect()
}

#[test]
fn what_is_not_json_is_malformed_wherever_it_breaks() {
    for body in [
        "",
        "{",
        "{\"title\":\"t\"",
        "title",
        "{\"title\":\"t\"} {}",
        "{\"bogus\":1,",
        "{\"title\":\"\u{1}\"}",
    ] {
        assert!(matches!(submit(body), Err(Unreadable::Malformed(_))), "{body}");
    }
    let refused = read::<SubmitTask>(b"{\"title\":\"\xff\"}", &Limits::default());
    assert!(matches!(refused, Err(Unreadable::Malformed(_))));
}

#[test]
fn only_an_object_is_a_request_and_only_an_object_a_part_of_one() {
    for body in ["[]", "[\"t\"]", "null", "1", "\"t\""] {
        let refused = submit(body).unwrap_err();
        assert_eq!(told(refused), [(String::new(), "must be an object".to_owned())], "{body}");
    }
    let refused = submit(r#"{"title":"t","backoff":[1,2.0,3,0.1],"timeouts":[]}"#).unwrap_err();
    assert_eq!(fields(refused), ["backoff", "timeouts"]);
    let refused = read::<FinishMany>(br#"{"items":[["t",1]]}"#, &Limits::default()).unwrap_err();
    assert_eq!(fields(refused), ["items[0]", "items"]);
}

#[test]
fn an_unknown_field_is_refused_by_its_name_at_any_depth() {
    let refused = submit(r#"{"title":"t","colour":"red","backoff":{"initial":1}}"#).unwrap_err();
    assert!(matches!(refused, Unreadable::UnknownField(_)));
    assert_eq!(fields(refused), ["backoff.initial", "colour"]);
}

#[test]
fn wrong_types_unknown_fields_and_broken_rules_are_told_together() {
    let body = r#"{"titel":"t","priority":"high","requires":[1],"labels":{"a":1},
        "timeouts":{"heartbeat_ms":-5},"attempts_max":0,"queue":"Not A Name"}"#;
    let refused = submit(body).unwrap_err();
    assert!(matches!(refused, Unreadable::UnknownField(_)));
    let mut found = told(refused);
    found.sort();
    let expected = [
        ("attempts_max", "must be from 1 to 100"),
        ("labels.a", "must be a string"),
        ("priority", "must be a whole number that is not negative"),
        ("queue", "must be 1 to 64 characters of a-z, 0-9, '.', '_' or '-'"),
        ("requires[0]", "must be a string"),
        ("timeouts.heartbeat_ms", "must be a whole number that is not negative"),
        ("titel", "is not a field of this request"),
        ("title", "must be 1 to 256 characters and not only spaces"),
    ];
    assert_eq!(found, expected.map(|(field, message)| (field.to_owned(), message.to_owned())));
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let refused = submit(r#"{"title":"t","title":"u"}"#).unwrap_err();
    assert_eq!(told(refused), [("title".to_owned(), "duplicate field `title`".to_owned())]);
}

#[test]
fn a_bulk_request_names_the_item_and_its_field() {
    let body = br#"{"items":[{"task_id":"a","attempt":1},{"task_id":"b","attempt":"x","bogus":1}]}"#;
    let refused = read::<FinishMany>(body, &Limits::default()).unwrap_err();
    assert_eq!(fields(refused), ["items[1].attempt", "items[1].bogus"]);
}

#[test]
fn an_empty_body_stands_for_a_default_only_where_that_is_said() {
    let asked = read_or_default::<CancelTask>(b" \n", &Limits::default()).unwrap();
    assert!(!asked.force);
    let asked = read_or_default::<CancelTask>(br#"{"force":true}"#, &Limits::default()).unwrap();
    assert!(asked.force);
    assert!(read_or_default::<CancelTask>(b"{", &Limits::default()).is_err());
}

#[test]
fn a_body_far_too_deep_is_refused_and_never_overflows_the_stack() {
    let nested = format!(r#"{{"title":"t","input":{}1{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(fields(submit(&nested).unwrap_err()), ["input"]);
    let nested = format!(r#"{{"title":"t","queue":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert!(submit(&nested).is_err());
}

#[test]
fn what_is_missing_within_a_field_of_a_wrong_type_is_not_told_as_well() {
    let refused = read::<FailRequest>(br#"{"attempt":1,"error":"broken"}"#, &Limits::default()).unwrap_err();
    assert_eq!(told(refused), [("error".to_owned(), "must be an object".to_owned())]);
    let refused = submit(r#"{"title":"t","labels":7,"labels_x":1}"#).unwrap_err();
    assert_eq!(fields(refused), ["labels", "labels_x"], "a name that begins alike is another field");
}
