//! The frame of an event: written once, the same bytes for everybody.

use std::ops::Range;

use domain::EventKind;

use super::topic::Root;
use crate::{EventView, time};

/// An event's frame, and where in it the event alone stands.
///
/// # Errors
/// Never with an event as the store has it; what the serializer says is passed on.
pub fn encode(
    view: &EventView,
    kind: EventKind,
    epoch: &str,
) -> Result<(String, Range<usize>), serde_json::Error> {
    let root = Root::of(kind);
    let mut frame = String::with_capacity(512);
    frame.push_str(r#"{"type":""#);
    frame.push_str(root.event_type());
    frame.push_str(r#"","timestamp":""#);
    frame.push_str(&time::show(view.at));
    frame.push_str(r#"","correlation_id":"#);
    frame.push_str(&serde_json::to_string(&view.correlation_id)?);
    frame.push_str(r#","subscription":""#);
    frame.push_str(root.as_str());
    frame.push_str(r#"","data":"#);
    let start = frame.len();
    frame.push_str(&serde_json::to_string(view)?);
    let end = frame.len();
    frame.push_str(r#","epoch":"#);
    frame.push_str(&serde_json::to_string(epoch)?);
    frame.push_str(r#","offset":"#);
    frame.push_str(&view.seq.to_string());
    frame.push('}');
    Ok((frame, start..end))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use serde_json::value::RawValue;

    use super::*;
    use crate::live::frame::{Body, Frame, Told};

    #[test]
    fn an_events_frame_is_what_the_type_says_and_holds_the_event() {
        let view = EventView {
            seq: 41,
            at: Timestamp::from_micros(1_769_860_800_000_000),
            kind: "task.completed".into(),
            task_id: None,
            agent_id: None,
            attempt: Some(2),
            queue: Some("default".into()),
            correlation_id: "quote\"d".into(),
            data: RawValue::from_string(r#"{"a":1.0}"#.into()).unwrap(),
        };
        let (text, event) = encode(&view, EventKind::TaskCompleted, "e-1").unwrap();
        let frame: Frame = serde_json::from_str(&text).unwrap();
        let (Body::TaskEvent(told), alone) = (frame.body, &text[event]) else { panic!("{text}") };
        let expected = Told {
            subscription: "tasks".into(),
            data: serde_json::from_str(alone).unwrap(),
            epoch: "e-1".into(),
            offset: 41,
        };
        assert_eq!((told, frame.timestamp), (expected, view.at));
        assert_eq!(frame.correlation_id, "quote\"d");
        assert_eq!(alone, serde_json::to_string(&view).unwrap());
    }
}
