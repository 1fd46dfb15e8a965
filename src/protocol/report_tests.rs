//! What reports mean, and what they refuse.

use super::*;
use crate::request::{self, Unreadable};

fn read<R: Request>(body: &str) -> Result<R::Asked, Vec<String>> {
    request::read::<R>(body.as_bytes(), &Limits::default()).map_err(|refused| match refused {
        Unreadable::InvalidValue(Violations(found)) | Unreadable::UnknownField(Violations(found)) => {
            found.into_iter().map(|violation| violation.field).collect()
        }
        Unreadable::Malformed(why) => vec![why],
    })
}

#[test]
fn a_result_passes_byte_for_byte() {
    let asked = read::<CompleteRequest>(r#"{"attempt":2,"result":{"a" : [1.50] }}"#).unwrap();
    let Report::Succeeded { result, usage } = asked.report else { panic!("not a success") };
    assert_eq!((asked.attempt, result.as_deref(), usage), (2, Some(r#"{"a" : [1.50] }"#), None));
}

#[test]
fn a_result_too_large_too_deep_or_with_nul_is_refused() {
    let sized = |n: usize| format!(r#"{{"attempt":1,"result":"{}"}}"#, "x".repeat(n - 2));
    assert!(read::<CompleteRequest>(&sized(1 << 20)).is_ok());
    assert_eq!(read::<CompleteRequest>(&sized((1 << 20) + 1)).unwrap_err(), ["result"]);
    let deep = format!(r#"{{"attempt":1,"result":{}{}}}"#, "[".repeat(65), "]".repeat(65));
    assert_eq!(read::<CompleteRequest>(&deep).unwrap_err(), ["result"]);
    assert_eq!(read::<CompleteRequest>(r#"{"attempt":1,"result":"\u0000"}"#).unwrap_err(), ["result"]);
}

#[test]
fn a_failure_may_be_tried_again_unless_it_says_otherwise() {
    let asked = read::<FailRequest>(r#"{"attempt":1,"error":{"kind":"k","message":"m"}}"#).unwrap();
    assert!(matches!(asked.report, Report::Failed { retryable: true, .. }));
    let asked = read::<FailRequest>(r#"{"attempt":1,"error":{"kind":"k"},"retryable":false}"#).unwrap();
    assert!(matches!(asked.report, Report::Failed { retryable: false, .. }));
}

#[test]
fn every_report_names_its_attempt_and_keeps_within_its_limits() {
    assert_eq!(read::<CompleteRequest>("{}").unwrap_err(), ["attempt"]);
    assert_eq!(read::<FailRequest>("{}").unwrap_err(), ["attempt", "error.kind"]);
    assert_eq!(read::<HeartbeatRequest>(r#"{"progress":1.1}"#).unwrap_err(), ["attempt", "progress"]);
    assert_eq!(read::<OutputRequest>(r#"{"attempt":1}"#).unwrap_err(), ["text"]);
    let long = |n: usize| {
        format!(
            r#"{{"attempt":1,"error":{{"kind":"{}","message":"{}"}}}}"#,
            "k".repeat(n),
            "m".repeat(n * 256)
        )
    };
    assert!(read::<FailRequest>(&long(64)).is_ok());
    assert_eq!(read::<FailRequest>(&long(65)).unwrap_err(), ["error.kind", "error.message"]);
    let chunk = |n: usize| format!(r#"{{"attempt":1,"text":"{}"}}"#, "x".repeat(n));
    assert!(read::<OutputRequest>(&chunk(65_536)).is_ok());
    assert_eq!(read::<OutputRequest>(&chunk(65_537)).unwrap_err(), ["text"]);
    let usage = r#"{"attempt":1,"usage":{"cost_usd":-1,"input_tokens":9007199254740992}}"#;
    assert_eq!(read::<CompleteRequest>(usage).unwrap_err(), ["usage.input_tokens", "usage.cost_usd"]);
}

#[test]
fn a_bulk_item_is_a_failure_when_it_has_an_error_and_is_checked_by_itself() {
    let items = read::<FinishMany>(
        r#"{"items":[{"task_id":"a","attempt":1,"result":1},{"task_id":"b","attempt":1,"error":{"kind":"k"}},
            {"task_id":"c","attempt":0,"result":1,"error":{"kind":"k"}}]}"#,
    )
    .unwrap();
    let checked: Vec<_> = items.into_iter().map(|item| item.check(&Limits::default())).collect();
    assert!(matches!(checked[0].as_ref().unwrap().report, Report::Succeeded { .. }));
    assert!(matches!(checked[1].as_ref().unwrap().report, Report::Failed { .. }));
    let Err(Violations(broken)) = &checked[2] else { panic!("not refused") };
    assert_eq!(broken.len(), 2);
}

#[test]
fn a_bulk_call_holds_one_to_a_thousand_items() {
    let many = |n: usize| format!(r#"{{"items":[{}]}}"#, vec![r#"{"task_id":"x"}"#; n].join(","));
    assert_eq!(read::<FinishMany>(&many(1_000)).unwrap().len(), 1_000);
    assert_eq!(read::<FinishMany>(&many(1_001)).unwrap_err(), ["items"]);
    assert_eq!(read::<FinishMany>(r#"{"items":[]}"#).unwrap_err(), ["items"]);
}
