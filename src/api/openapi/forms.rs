//! What the derives cannot say, or say too much of: parameters are never null, a default that is null is none, and of
//! some fields only one may stand.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayItems, Object, Schema, SchemaType, Type};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr};

use super::operations;

/// The form of the cursors that [`protocol::PageQuery`] keeps as they come. A client need not know: they are opaque.
const CURSORS: &[(&str, &str)] = &[
    ("list_agents", "^agent_[0-7][0-9a-hjkmnp-tv-z]{12}$"),
    ("list_api_keys", "^key_[0-7][0-9a-hjkmnp-tv-z]{12}$"),
    ("list_attempts", "^[0-9]{1,9}$"),
    ("list_task_events", "^[0-9]{1,18}$"),
];

/// Of these two fields of a request only one may stand; null is as good as none.
const EXCLUSIVE: &[(&str, [&str; 2])] = &[
    ("SubmitTask", ["delay_ms", "eligible_at"]),
    ("UniqueView", ["until", "ttl_ms"]),
    ("CreateApiKey", ["expires_at", "expires_in_s"]),
    ("Redrive", ["task_ids", "filter"]),
    ("Redrive", ["task_ids", "limit"]),
    ("Redrive", ["task_ids", "cursor"]),
];

/// Of these two fields of a request one must stand.
const EITHER: &[(&str, [&str; 2])] = &[("Redrive", ["task_ids", "filter"])];

/// Mends the document.
pub(super) fn mend(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            mend_parameters(operation);
            mend_body(operation);
        }
    }
    let Some(components) = &mut document.components else { return };
    for schema in components.schemas.values_mut() {
        if let RefOr::T(Schema::Object(object)) = schema {
            drop_defaults(object);
        }
    }
    name_items(components);
    let mut wrong: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, fields) in EXCLUSIVE {
        wrong.entry(name).or_default().push(both(fields));
    }
    for (name, fields) in EITHER {
        wrong.entry(name).or_default().push(neither(fields));
    }
    for (name, forms) in wrong {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            exclude(object, forms);
        }
    }
}

fn mend_parameters(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let pattern = CURSORS.iter().find(|(list, _)| *list == id).map(|(_, pattern)| *pattern);
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Some(schema) = &mut parameter.schema else { continue };
        *schema = never_null(schema.clone());
        if let (RefOr::T(Schema::Object(object)), "cursor", Some(pattern)) =
            (schema, parameter.name.as_str(), pattern)
        {
            object.pattern = Some(pattern.to_owned());
        }
    }
}

/// A body that may be missing is not null either.
fn mend_body(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        if let Some(schema) = &mut content.schema {
            *schema = never_null(schema.clone());
        }
    }
}

/// A parameter is there or is not: nothing in a URL or a header is null.
fn never_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = without_null(object.schema_type);
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.schema_type = without_null(array.schema_type);
            RefOr::T(Schema::Array(array))
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            let is_null = |item: &RefOr<Schema>| match item {
                RefOr::T(Schema::Object(object)) => object.schema_type == SchemaType::Type(Type::Null),
                RefOr::T(_) | RefOr::Ref(_) => false,
            };
            let rest: Vec<_> = one_of.items.iter().filter(|item| !is_null(item)).cloned().collect();
            match <[RefOr<Schema>; 1]>::try_from(rest) {
                Ok([only]) => only,
                Err(_) => RefOr::T(Schema::OneOf(one_of)),
            }
        }
        other => other,
    }
}

fn without_null(schema_type: SchemaType) -> SchemaType {
    match schema_type {
        SchemaType::Array(types) => {
            let rest: Vec<Type> = types.into_iter().filter(|one| *one != Type::Null).collect();
            match rest.as_slice() {
                [only] => SchemaType::Type(only.clone()),
                _ => SchemaType::Array(rest),
            }
        }
        other => other,
    }
}

/// The derive writes out what a page holds; it has a name, and that says more.
fn name_items(components: &mut Components) {
    let known: Vec<String> = components.schemas.keys().cloned().collect();
    for (name, schema) in &mut components.schemas {
        let named = name.strip_prefix("Page_").or_else(|| name.strip_prefix("Items_"));
        let (Some(named), RefOr::T(Schema::Object(list))) = (named, schema) else { continue };
        let Some(RefOr::T(Schema::Array(items))) = list.properties.get_mut("items") else { continue };
        if known.iter().any(|other| other == named) {
            items.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(named))));
        }
    }
}

/// A null default says nothing, and that of a required field would break its own rules.
fn drop_defaults(object: &mut Object) {
    let required = object.required.clone();
    for (name, property) in &mut object.properties {
        let RefOr::T(schema) = property else { continue };
        let default = match schema {
            Schema::Object(object) => &mut object.default,
            Schema::Array(array) => &mut array.default,
            Schema::OneOf(one_of) => &mut one_of.default,
            Schema::AllOf(all_of) => &mut all_of.default,
            Schema::AnyOf(any_of) => &mut any_of.default,
            _ => continue,
        };
        if default.as_ref().is_some_and(Value::is_null) || required.contains(name) {
            *default = None;
        }
    }
}

fn both([one, other]: &[&str; 2]) -> Value {
    let there = json!({"not": {"type": "null"}});
    json!({"required": [one, other], "properties": {*one: there.clone(), *other: there}})
}

fn neither([one, other]: &[&str; 2]) -> Value {
    json!({"properties": {*one: {"type": "null"}, *other: {"type": "null"}}})
}

/// The builder knows no `not`; what it flattens into the schema is free.
fn exclude(object: &mut Object, mut forms: Vec<Value>) {
    let wrong = if forms.len() == 1 { forms.remove(0) } else { json!({"anyOf": forms}) };
    object.extensions.get_or_insert_with(Extensions::default).insert("not".to_owned(), wrong);
}
