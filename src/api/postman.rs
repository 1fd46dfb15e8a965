//! The Postman collection, made from the document: a request an operation, with an example of each body.
//!
//! Format 2.1, source: <https://schema.postman.com>. What an answer names (the links of the document) is kept in a
//! variable, so that the next request is about the task, agent or key that the last one made.

use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
const ABOUT: &str = "Made from the OpenAPI document of the hive. Set `base_url` and `token` (the admin token or an API key); \
    the other variables follow from the answers.";
/// Stands in examples for a task that is there.
const TASK_EXAMPLE: &str = "task_04hmasw9nf6yf";

/// The collection of a document.
#[must_use]
pub fn collection(document: &Value) -> Value {
    let folders: Vec<Value> =
        items(document, "tags").iter().filter_map(|tag| folder(document, tag)).collect();
    let variable = |key: &str, value: &str| json!({"key": key, "value": value});
    let mut variables = vec![variable("base_url", "http://127.0.0.1:18080"), variable("token", "")];
    variables.extend(names(document).iter().map(|name| match name.strip_suffix("_id") {
        Some(_) => variable(name, ""),
        None => variable(name, "default"),
    }));
    json!({
        "info": {"name": text(document, "/info/title"), "description": ABOUT, "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": variables,
        "item": folders,
    })
}

fn folder(document: &Value, tag: &Value) -> Option<Value> {
    let of_tag = |(_, _, operation): &(&str, &str, &Value)| operation.pointer("/tags/0") == tag.get("name");
    let mut found: Vec<_> = operations(document).filter(of_tag).collect();
    // Whoever runs a folder from top to bottom meets what is made there until the end.
    found.sort_by_key(|(_, method, _)| *method == "delete");
    let requests: Vec<Value> =
        found.into_iter().map(|(path, method, found)| item(document, path, method, found)).collect();
    let (name, about) = (tag.get("name"), tag.get("description"));
    (!requests.is_empty()).then(|| json!({"name": name, "description": about, "item": requests}))
}

fn item(document: &Value, path: &str, method: &str, operation: &Value) -> Value {
    let mut request = json!({
        "method": method.to_uppercase(),
        "description": text(operation, "/description"),
        "header": parameters(operation, "header"),
        "url": url(path, operation),
    });
    let fields = request.as_object_mut();
    if let (Some(fields), Some(example)) = (fields, example(document, operation)) {
        let body = serde_json::to_string_pretty(&example).unwrap_or_default();
        let raw = body.replace(TASK_EXAMPLE, "{{task_id}}");
        let language = json!({"raw": {"language": "json"}});
        fields.insert("body".to_owned(), json!({"mode": "raw", "raw": raw, "options": language}));
        if let Some(Value::Array(headers)) = fields.get_mut("header") {
            headers.insert(0, json!({"key": "Content-Type", "value": "application/json"}));
        }
    }
    if operation.get("security") == Some(&json!([]))
        && let Some(fields) = request.as_object_mut()
    {
        fields.insert("auth".to_owned(), json!({"type": "noauth"}));
    }
    let mut item = json!({"name": text(operation, "/summary").trim_end_matches('.'), "request": request});
    let kept = kept(document, operation);
    if let (Some(fields), false) = (item.as_object_mut(), kept.is_empty()) {
        let script = json!({"type": "text/javascript", "exec": kept});
        fields.insert("event".to_owned(), json!([{"listen": "test", "script": script}]));
    }
    item
}

fn url(path: &str, operation: &Value) -> Value {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(segment).collect();
    let mut url = json!({
        "raw": format!("{{{{base_url}}}}/{}", segments.join("/")),
        "host": ["{{base_url}}"],
        "path": segments,
    });
    let Some(fields) = url.as_object_mut() else { return url };
    if let Some((key, name)) = variable(path) {
        let value = format!("{{{{{name}}}}}");
        fields.insert("variable".to_owned(), json!([{"key": key, "value": value}]));
    }
    let query = parameters(operation, "query");
    if query.as_array().is_some_and(|query| !query.is_empty()) {
        fields.insert("query".to_owned(), query);
    }
    url
}

/// `{id}` is `:id` here.
fn segment(part: &str) -> String {
    match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => format!(":{name}"),
        None => part.to_owned(),
    }
}

/// Optional parameters, switched off: a user switches on what is wanted.
fn parameters(operation: &Value, place: &str) -> Value {
    let known = items(operation, "parameters").iter().filter(|parameter| text(parameter, "/in") == place);
    let shown = known.map(|parameter| {
        let description = text(parameter, "/description");
        json!({"key": parameter.get("name"), "value": "", "description": description, "disabled": true})
    });
    shown.collect()
}

fn example(document: &Value, operation: &Value) -> Option<Value> {
    let schema = operation.pointer("/requestBody/content/application~1json/schema")?;
    let named = items(schema, "oneOf").iter().find(|option| option.get("$ref").is_some()).unwrap_or(schema);
    let schema = document.pointer(named.get("$ref")?.as_str()?.strip_prefix('#')?)?;
    schema.pointer("/examples/0").cloned()
}

/// Lines of a script that keep what the answer names.
fn kept(document: &Value, operation: &Value) -> Vec<String> {
    let responses = operation.get("responses").and_then(Value::as_object);
    let links =
        responses.into_iter().flat_map(Map::values).filter_map(|response| response.get("links")?.as_object());
    let mut lines: Vec<String> = links
        .flat_map(Map::values)
        .filter_map(|link| {
            let target = text(link, "/operationId");
            let (path, _, _) =
                operations(document).find(|(_, _, other)| text(other, "/operationId") == target)?;
            let (key, name) = variable(path)?;
            let place = text(link, &format!("/parameters/{key}"));
            let place =
                place.strip_prefix("$response.body#/")?.split('/').map(|part| match part.parse::<u32>() {
                    Ok(number) => format!("?.[{number}]"),
                    Err(_) => format!("?.{part}"),
                });
            let place: String = place.collect();
            Some(format!("if (answer{place}) pm.collectionVariables.set(\"{name}\", answer{place});"))
        })
        .collect();
    lines.dedup();
    if !lines.is_empty() {
        lines.insert(0, "const answer = pm.response.json();".to_owned());
    }
    lines
}

/// The variable of a path and its name in the collection: `id` and `task_id` of `/api/v2/tasks/{id}`.
fn variable(path: &str) -> Option<(&str, String)> {
    let (before, rest) = path.split_once("/{")?;
    let (key, _) = rest.split_once('}')?;
    let noun = before.rsplit('/').next()?.trim_end_matches('s');
    Some((key, if key == "id" { format!("{noun}_id") } else { noun.to_owned() }))
}

fn names(document: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        operations(document).filter_map(|(path, _, _)| variable(path).map(|(_, name)| name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Path, method and operation.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_a_path_is_named_for_its_collection() {
        let named = |path| variable(path).map(|(key, name)| (key.to_owned(), name));
        assert_eq!(named("/api/v2/tasks/{id}/cancel"), Some(("id".into(), "task_id".into())));
        assert_eq!(named("/api/v2/auth/keys/{id}"), Some(("id".into(), "key_id".into())));
        assert_eq!(named("/api/v2/queues/{name}/pause"), Some(("name".into(), "queue".into())));
        assert_eq!(named("/api/v2/tasks"), None);
    }

    #[test]
    fn each_operation_is_one_request_and_what_it_makes_is_kept() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let collection = collection(&document);
        let folders = collection["item"].as_array().unwrap();
        let requests: Vec<&Value> = folders.iter().flat_map(|folder| items(folder, "item")).collect();
        assert_eq!(requests.len(), operations(&document).count());
        let submit = requests.iter().find(|item| item["name"] == "Submit a task").unwrap();
        let script = &submit["event"][0]["script"]["exec"];
        assert_eq!(script[1], "if (answer?.id) pm.collectionVariables.set(\"task_id\", answer?.id);");
        assert_eq!(script.as_array().unwrap().len(), 2, "{script}");
    }
}
