//! Texts that have one form everywhere: ids, names, labels, states. They are schemas of the document and nothing else.

use std::borrow::Cow;

use domain::limits::{LABEL_VALUE_CHARS_MAX, LABELS_MAX};
use domain::{TaskId, TaskState};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The form of a name: what domain's `Name` reads.
pub const NAME_PATTERN: &str = "^[a-z0-9._-]{1,64}$";

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $text:ident as $name:literal: $schema:expr;)*) => {
    $(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub enum $text {}

        impl PartialSchema for $text {
            fn schema() -> RefOr<Schema> {
                let schema: ObjectBuilder = $schema;
                schema.description(Some(concat!($($doc),*).trim())).into()
            }
        }

        impl ToSchema for $text {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )*

        /// All of them: parameters do not bring theirs into the document by themselves.
        #[must_use]
        pub fn all() -> Vec<(String, RefOr<Schema>)> {
            vec![$(($name.to_owned(), $text::schema()),)*]
        }
    };
}

texts! {
    /// The id of a task: `task_` and 13 letters of Crockford's base32; later ids sort behind earlier ones.
    TaskIdText as "TaskId": id("task");
    /// The id of an agent: `agent_` and 13 letters of Crockford's base32; later ids sort behind earlier ones.
    AgentIdText as "AgentId": id("agent");
    /// The id of an API key: `key_` and 13 letters of Crockford's base32; later ids sort behind earlier ones.
    ApiKeyIdText as "ApiKeyId": id("key");
    /// A name of a queue, an agent, a capability, a kind, a label: 1 to 64 of a-z, 0-9, `.`, `_` and `-`.
    NameText as "Name": text(NAME_PATTERN).examples(["nightly"]);
    /// Labels for people and filters, at most 32: a name and a value of at most 256 characters each.
    LabelsText as "Labels": labels();
    /// Names one request: a repeat under the same key makes nothing new within 24 h. 1 to 255 visible ASCII characters but
    /// the quotation mark, bare or quoted.
    IdempotencyKeyText as "IdempotencyKey": text(r#"^([!#-~]{1,255}|"[!#-~]{1,255}")$"#).examples(["order-4711"]);
    /// A label to look for: `key=value`, or `key:value`.
    LabelFilterText as "LabelFilter": text("^[a-z0-9._-]{1,64}[=:]").examples(["customer=acme"]);
    /// Where a task stands.
    TaskStateText as "TaskState": ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(TaskState::ALL.map(TaskState::as_str)));
}

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// 13 letters of 5 bits hold the 63 of an id, so that the first one is below 8.
fn id(prefix: &str) -> ObjectBuilder {
    let letters = TaskId::from_raw(0x0123_4567_89ab_cdef).to_string().replace("task_", "");
    text(&format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{12}}$")).examples([format!("{prefix}_{letters}")])
}

fn labels() -> ObjectBuilder {
    let value = Object::builder().schema_type(Type::String).max_length(Some(LABEL_VALUE_CHARS_MAX));
    let name: Schema = text(NAME_PATTERN).into();
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(name))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(value.into()))))
        .max_properties(Some(LABELS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern<T: PartialSchema>() -> String {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["pattern"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_highest_id_has_the_form_of_the_document() {
        assert_eq!(TaskId::from_raw(i64::MAX).to_string(), "task_7zzzzzzzzzzzz");
        assert_eq!(pattern::<TaskIdText>(), "^task_[0-7][0-9a-hjkmnp-tv-z]{12}$");
        assert_eq!(pattern::<ApiKeyIdText>(), "^key_[0-7][0-9a-hjkmnp-tv-z]{12}$");
    }
}
