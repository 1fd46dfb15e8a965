//! What a client sends.

use serde::Deserialize;
use serde_json::Value;

/// A place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Place {
    /// Names the log; a restore of a backup begins another one.
    pub epoch: String,
    /// The `seq` of the last event that was seen.
    pub offset: i64,
}

impl Place {
    /// Reads `epoch:offset`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (epoch, offset) = text.rsplit_once(':')?;
        let offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
        Some(Self { epoch: epoch.to_owned(), offset })
    }
}

/// A frame of a client, with what it wants back in the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientFrame {
    /// Comes back in the answer.
    pub correlation_id: Option<String>,
    /// What is asked.
    pub ask: Ask,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Whether the hive is there.
    Ping,
    /// More topics; with a place, what happened since.
    Subscribe {
        /// As they are written.
        topics: Vec<String>,
        /// Where to take up the log.
        resume: Option<Place>,
    },
    /// Fewer topics.
    Unsubscribe {
        /// As they are written.
        topics: Vec<String>,
    },
    /// Something that is read once.
    RequestData {
        /// What.
        data_type: String,
        /// More about it.
        params: Value,
    },
}

/// Why a frame is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no JSON object with a `type`, or a field is of another kind.
    #[error("Invalid JSON message format")]
    Malformed {
        /// The correlation id, where it could be read.
        correlation_id: Option<String>,
    },
    /// Nobody knows this type.
    #[error("Unknown message type: {name}")]
    UnknownType {
        /// As it came, cut to 64 characters.
        name: String,
        /// The correlation id, where there is one.
        correlation_id: Option<String>,
    },
}

/// Characters of a correlation id at most; a longer one does not come back.
const CORRELATION_ID_CHARS_MAX: usize = 128;

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: Option<Value>,
    correlation_id: Option<Value>,
    subscriptions: Option<Value>,
    resume: Option<Value>,
    data_type: Option<Value>,
    params: Option<Value>,
}

impl ClientFrame {
    /// Reads a frame. Fields that it does not know are let through: a newer client may send them.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn read(text: &str) -> Result<Self, Refused> {
        let malformed = |correlation_id| Refused::Malformed { correlation_id };
        // serde would also read an array as a struct.
        if !text.trim_start().starts_with('{') {
            return Err(malformed(None));
        }
        let raw: Raw = serde_json::from_str(text).map_err(|_| malformed(None))?;
        let correlation_id = match raw.correlation_id {
            Some(Value::String(id)) => {
                Some(id).filter(|id| !id.is_empty() && id.chars().count() <= CORRELATION_ID_CHARS_MAX)
            }
            None | Some(Value::Null) => None,
            Some(_) => return Err(malformed(None)),
        };
        let Some(Value::String(kind)) = raw.kind else { return Err(malformed(correlation_id)) };
        let ask = match kind.as_str() {
            "ping" => Some(Ask::Ping),
            "subscribe" => topics(raw.subscriptions).and_then(|topics| {
                let resume = match raw.resume {
                    None | Some(Value::Null) => None,
                    Some(place) => {
                        Some(serde_json::from_value(place).ok().filter(|place: &Place| place.offset >= 0)?)
                    }
                };
                Some(Ask::Subscribe { topics, resume })
            }),
            "unsubscribe" => topics(raw.subscriptions).map(|topics| Ask::Unsubscribe { topics }),
            "request_data" => match raw.data_type {
                Some(Value::String(data_type)) => {
                    Some(Ask::RequestData { data_type, params: raw.params.unwrap_or_default() })
                }
                _ => None,
            },
            other => {
                let name = other.chars().take(64).collect();
                return Err(Refused::UnknownType { name, correlation_id });
            }
        };
        match ask {
            Some(ask) => Ok(Self { correlation_id, ask }),
            None => Err(malformed(correlation_id)),
        }
    }
}

fn topics(value: Option<Value>) -> Option<Vec<String>> {
    let Value::Array(items) = value? else { return None };
    items.into_iter().map(|item| if let Value::String(text) = item { Some(text) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(text: &str) -> Ask {
        ClientFrame::read(text).unwrap().ask
    }

    #[test]
    fn each_type_is_read_and_what_is_unknown_in_it_is_let_through() {
        let frame = ClientFrame::read(r#"{"type":"ping","correlation_id":"c-1","newer":1}"#).unwrap();
        assert_eq!((frame.ask, frame.correlation_id.as_deref()), (Ask::Ping, Some("c-1")));
        let resume = Some(Place { epoch: "e".into(), offset: 7 });
        let text = r#"{"type":"subscribe","subscriptions":["tasks"],"resume":{"epoch":"e","offset":7}}"#;
        assert_eq!(ask(text), Ask::Subscribe { topics: vec!["tasks".into()], resume });
        let text = r#"{"type":"unsubscribe","subscriptions":[]}"#;
        assert_eq!(ask(text), Ask::Unsubscribe { topics: vec![] });
        let text = json!({"type": "request_data", "data_type": "task_list"}).to_string();
        assert_eq!(ask(&text), Ask::RequestData { data_type: "task_list".into(), params: Value::Null });
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in [
            "",
            "x",
            "[]",
            "null",
            "7",
            r#"["ping"]"#,
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"ping""#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","subscriptions":"tasks"}"#,
            r#"{"type":"subscribe","subscriptions":[7]}"#,
            r#"{"type":"subscribe","topics":[]}"#,
            r#"{"type":"subscribe","subscriptions":[],"resume":{"epoch":"e","offset":-1}}"#,
            r#"{"type":"ping","correlation_id":7}"#,
        ] {
            assert!(matches!(ClientFrame::read(bad), Err(Refused::Malformed { .. })), "{bad}");
        }
        let unknown = ClientFrame::read(r#"{"type":"dance","correlation_id":"c"}"#).unwrap_err();
        assert_eq!(unknown.to_string(), "Unknown message type: dance");
    }

    #[test]
    fn a_correlation_id_of_128_characters_comes_back_and_a_longer_one_does_not() {
        let read = |id: String| {
            ClientFrame::read(&json!({"type": "ping", "correlation_id": id}).to_string())
                .unwrap()
                .correlation_id
        };
        assert_eq!(read("ö".repeat(128)), Some("ö".repeat(128)));
        assert_eq!((read("ö".repeat(129)), read(String::new())), (None, None));
    }

    #[test]
    fn a_place_is_an_epoch_and_an_offset() {
        assert_eq!(Place::read("a:b:12"), Some(Place { epoch: "a:b".into(), offset: 12 }));
        for bad in ["", "12", "a:", "a:x", "a:-1"] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }
}
