//! The JSON that goes with an event: made once, the wire form, at most 512 bytes.

use std::fmt::Write;
use std::sync::Arc;

use domain::Move;

/// A JSON object in the making.
#[derive(Debug, Default)]
pub(crate) struct Data(String);

impl Data {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a word of letters that need no escape: a state, a name, an id.
    pub(crate) fn word(mut self, key: &str, word: impl std::fmt::Display) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.0, ",\"{key}\":\"{word}\"");
        self
    }

    /// Adds any text.
    pub(crate) fn text(mut self, key: &str, text: &str) -> Self {
        let text = serde_json::Value::from(text);
        let _ = write!(self.0, ",\"{key}\":{text}");
        self
    }

    /// Adds a number, `true` or `false`.
    pub(crate) fn value(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        let _ = write!(self.0, ",\"{key}\":{value}");
        self
    }

    /// The object, which begins with how a task moved.
    pub(crate) fn finish(self, moved: Option<Move>) -> Arc<str> {
        let mut json = String::with_capacity(self.0.len() + 64);
        json.push('{');
        if let Some(Move { from, to, priority_from }) = moved {
            if let Some(from) = from {
                let _ = write!(json, "\"from\":\"{}\",", from.as_str());
            }
            let _ = write!(json, "\"to\":\"{}\"", to.as_str());
            if let Some(priority) = priority_from {
                let _ = write!(json, ",\"priority_from\":{priority}");
            }
            json.push_str(&self.0);
        } else {
            json.push_str(self.0.strip_prefix(',').unwrap_or(&self.0));
        }
        json.push('}');
        Arc::from(json)
    }
}

#[cfg(test)]
mod tests {
    use domain::TaskState;

    use super::*;

    #[test]
    fn data_is_json_with_and_without_a_move() {
        assert_eq!(&*Data::new().finish(None), "{}");
        assert_eq!(&*Data::new().value("a", 1).text("b", "\"\n").finish(None), r#"{"a":1,"b":"\"\n"}"#);
        let new = Move { from: None, to: TaskState::Queued, priority_from: None };
        assert_eq!(&*Data::new().finish(Some(new)), r#"{"to":"queued"}"#);
        let up = Move { from: Some(TaskState::Queued), to: TaskState::Queued, priority_from: Some(5) };
        assert_eq!(
            &*Data::new().word("queue", "q").finish(Some(up)),
            r#"{"from":"queued","to":"queued","priority_from":5,"queue":"q"}"#
        );
    }
}
