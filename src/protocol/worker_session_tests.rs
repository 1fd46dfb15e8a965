//! What of a worker's frames is read, and what is refused with which words.

use domain::Timestamp;

use super::*;

fn said(text: &str) -> WorkerSays {
    WorkerFrame::read(text).unwrap().said
}

fn refused(text: &str) -> (WorkerErrorCode, String) {
    let refused = WorkerFrame::read(text).unwrap_err();
    (refused.code, refused.message)
}

#[test]
fn each_type_is_read_and_what_is_unknown_in_it_is_let_through() {
    let frame = WorkerFrame::read(r#"{"type":"ping","correlation_id":"c-1","newer":1}"#).unwrap();
    assert_eq!(frame.correlation_id.as_deref(), Some("c-1"));
    assert!(matches!(frame.said, WorkerSays::Ping));
    assert!(matches!(said(r#"{"type":"ready","slots":4}"#), WorkerSays::Ready(4)));
    assert!(matches!(said(r#"{"type":"ready","slots":0}"#), WorkerSays::Ready(0)));
    for kind in ["heartbeat", "output", "complete", "fail"] {
        let text = format!(r#"{{"type":"{kind}","items":[{{"a":1}},7]}}"#);
        let WorkerSays::Report(read, items) = said(&text) else { panic!("{kind}") };
        assert_eq!((read.as_str(), items.len(), items[0].get()), (kind, 2, r#"{"a":1}"#));
    }
}

#[test]
fn what_is_no_frame_is_refused_and_says_what_would_be_right() {
    for bad in ["", "x", "[]", "7", r#"["ping"]"#, "{}", r#"{"type":7}"#, r#"{"type":"ping""#] {
        assert_eq!(refused(bad).0, WorkerErrorCode::InvalidJson, "{bad}");
    }
    assert_eq!(refused(r#"{"type":"heartbeat","items":7}"#).0, WorkerErrorCode::InvalidJson);
    let unknown = refused(r#"{"type":"dance"}"#);
    assert_eq!(unknown, (WorkerErrorCode::UnknownMessageType, "Unknown message type: dance".to_owned()));
    for bad in [r#"{"type":"ready"}"#, r#"{"type":"ready","slots":-1}"#, r#"{"type":"ready","slots":1001}"#] {
        let (code, message) = refused(bad);
        assert_eq!(code, WorkerErrorCode::InvalidValue, "{bad}");
        assert!(message.contains("0 to 1000"), "{message}");
    }
    for count in [0, ITEMS_MAX + 1] {
        let items = vec!["{}"; count].join(",");
        let (code, message) = refused(&format!(r#"{{"type":"complete","items":[{items}]}}"#));
        assert_eq!(code, WorkerErrorCode::InvalidValue);
        assert!(message.contains("1 to 256"), "{message}");
    }
    let most = vec!["{}"; ITEMS_MAX].join(",");
    assert!(WorkerFrame::read(&format!(r#"{{"type":"complete","items":[{most}]}}"#)).is_ok());
}

#[test]
fn a_result_leaves_a_frame_byte_for_byte_as_it_came() {
    let text = r#"{"type":"complete","items":[{"task_id":"t","attempt":1,"result":{"n": 1.50, "b":[ ]}}]}"#;
    let WorkerSays::Report(_, items) = said(text) else { panic!("a report") };
    let item: crate::report::FinishItem = serde_json::from_str(items[0].get()).unwrap();
    assert_eq!(item.result.unwrap().get(), r#"{"n": 1.50, "b":[ ]}"#);
}

#[test]
fn an_assignments_input_stands_in_its_frame_as_it_came() {
    let item = crate::AssignmentView {
        task_id: domain::TaskId::from_raw(7),
        attempt: 1,
        title: "t".into(),
        kind: None,
        queue: "default".into(),
        priority: 5,
        input: Some(RawValue::from_string(r#"{"n": 1.50}"#.into()).unwrap()),
        labels: std::collections::BTreeMap::new(),
        lease_ttl_ms: 30_000,
        lease_expires_at: Timestamp::ZERO,
        timeouts: domain::Timeouts::default().into(),
    };
    let body = HiveSays::Assignments(Assignments { items: vec![item], resumed: false });
    let frame = HiveFrame { body, timestamp: Timestamp::ZERO, correlation_id: "c".into() };
    let text = frame.text().unwrap();
    assert!(text.starts_with(r#"{"type":"assignments","items":[{"#), "{text}");
    assert!(text.contains(r#""input":{"n": 1.50}"#), "{text}");
}
