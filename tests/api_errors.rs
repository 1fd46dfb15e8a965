//! Refusals over HTTP: every one is a problem in full, names what is wrong, and leaves nothing behind.

use anyhow::{Context, Result, ensure};
use futures_util::stream;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};
use tests::Hive;

use crate::api_tasks::{claim, each};

/// The closed list of the contract.
const CODES: [&str; 17] = [
    "malformed_json",
    "unknown_field",
    "invalid_value",
    "idempotency_mismatch",
    "unauthorized",
    "forbidden",
    "not_found",
    "stale_lease",
    "state_conflict",
    "unique_conflict",
    "payload_too_large",
    "queue_full",
    "rate_limited",
    "overloaded",
    "store_unavailable",
    "not_ready",
    "internal",
];

/// A refusal: what came in the head and what in the body.
pub(crate) struct Refusal {
    pub(crate) headers: HeaderMap,
    pub(crate) problem: Value,
}

impl Refusal {
    /// The fields that it names.
    fn fields(&self) -> Vec<Value> {
        each(&json!({"items": self.problem["errors"]}), "field")
    }
}

/// Sends a request that must be refused with `status` and `code`, and checks all that every refusal has.
pub(crate) async fn refused(
    request: RequestBuilder,
    (status, code): (u16, &str),
    what: &str,
) -> Result<Refusal> {
    let correlation_id = format!("check:{code}.1");
    let answer = request.header("X-Correlation-Id", &correlation_id).send().await.context(what.to_owned())?;
    let (there, headers, path) =
        (answer.status().as_u16(), answer.headers().clone(), answer.url().path().to_owned());
    let text = answer.text().await?;
    ensure!(there == status, "{what}: {there} instead of {status}: {text}");
    assert_eq!(headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(headers.get("x-correlation-id"), Some(&HeaderValue::from_str(&correlation_id)?), "{what}");
    let problem: Value = serde_json::from_str(&text)?;
    let members: Vec<_> = problem.as_object().context("an object")?.keys().map(String::as_str).collect();
    let expected = ["code", "correlation_id", "detail", "errors", "instance", "status", "title", "type"];
    assert_eq!(members, expected, "{what}");
    assert!(CODES.contains(&problem["code"].as_str().unwrap_or_default()), "{what}: {problem}");
    assert_eq!(problem["code"], code, "{what}: {problem}");
    assert_eq!(
        (&problem["status"], &problem["correlation_id"]),
        (&json!(status), &json!(correlation_id)),
        "{what}"
    );
    assert_eq!(problem["instance"], path, "{what}");
    for name in ["type", "title", "detail"] {
        assert!(
            problem[name].as_str().is_some_and(|text| !text.is_empty()),
            "{what} has no {name}: {problem}"
        );
    }
    assert!(problem["type"].as_str().is_some_and(|uri| uri.contains(':')), "{what}: {problem}");
    for error in problem["errors"].as_array().context("errors")? {
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {error}");
    }
    Ok(Refusal { headers, problem })
}

pub(crate) fn send(hive: &Hive, method: Method, path: &str, body: impl Into<Body>) -> RequestBuilder {
    hive.request(method, path).header("content-type", "application/json").body(body)
}

/// Nothing was stored, whatever was asked.
async fn is_empty(hive: &Hive) -> Result<()> {
    let system = hive.get("/api/v2/system").await?;
    assert_eq!((&system["tasks"]["total"], &system["agents"]["total"]), (&json!(0), &json!(0)), "{system}");
    assert_eq!(hive.get("/api/v2/tasks").await?["items"], json!([]));
    let events = each(&hive.get("/api/v2/events").await?, "kind");
    assert!(events.iter().all(|kind| kind == "system.started"), "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() -> Result<()> {
    let hive = Hive::start().await?;
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"{\"title\":\"t\",}",
        b"{\"title\":'t'}",
        b"{\"title\":\"t\"} {}",
        b"title=t",
        b"{\"title\":\"\xff\xfe\"}",
        b"{\"priority\":\"x\",\"title\":",
        b"{\"title\":\"a\nb\"}",
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(body);
        for path in
            ["/api/v2/tasks", "/api/v2/agents", "/api/v2/leases/complete", "/api/v2/dead-letters/redrive"]
        {
            let answer =
                refused(send(&hive, Method::POST, path, body), (400, "malformed_json"), &what).await?;
            assert_eq!(answer.fields(), Vec::<Value>::new());
        }
    }
    is_empty(&hive).await
}

#[tokio::test]
async fn a_task_against_the_rules_is_refused_with_every_broken_field_by_name() -> Result<()> {
    let hive = Hive::start().await?;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = format!(r#"{{"title":"t","input":{}}}"#, nested(65));
    let deeper = format!(r#"{{"title":"t","input":{}}}"#, nested(5_000));
    let long = format!(r#"{{"title":"{}"}}"#, "ä".repeat(257));
    let many =
        json!({"title": "t", "requires": (0..17).map(|n| format!("c{n}")).collect::<Vec<_>>()}).to_string();
    let wordy = json!({"title": "t", "labels": {"k": "v".repeat(257)}}).to_string();
    let (unknown, invalid) = ("unknown_field", "invalid_value");
    let table: &[(&str, &str, &[&str])] = &[
        (r#"{"title":"t","prio":1}"#, unknown, &["prio"]),
        (r#"{"title":"t","prio":1,"que":"x","priority":10}"#, unknown, &["prio", "priority", "que"]),
        (r#"{"title":"t","timeouts":{"hartbeat_ms":1}}"#, unknown, &["timeouts.hartbeat_ms"]),
        (r#"{"title":"t","colour":{"key":"k"}}"#, unknown, &["colour"]),
        (r#"{"title":"t","Title":"t"}"#, unknown, &["Title"]),
        ("{}", invalid, &["title"]),
        ("[]", invalid, &[""]),
        ("null", invalid, &[""]),
        ("7", invalid, &[""]),
        (r#"{"title":7}"#, invalid, &["title"]),
        (r#"{"title":null}"#, invalid, &["title"]),
        (r#"{"title":""}"#, invalid, &["title"]),
        (r#"{"title":"  \t "}"#, invalid, &["title"]),
        (&long, invalid, &["title"]),
        (r#"{"title":"a\u0000b"}"#, invalid, &["title"]),
        (r#"{"title":"t","title":"u"}"#, invalid, &["title"]),
        (r#"{"title":"t","priority":"high"}"#, invalid, &["priority"]),
        (r#"{"title":"t","priority":1.5}"#, invalid, &["priority"]),
        (r#"{"title":"t","priority":-1}"#, invalid, &["priority"]),
        (r#"{"title":"t","priority":10}"#, invalid, &["priority"]),
        (r#"{"title":"t","priority":99999999999999999999}"#, invalid, &["priority"]),
        (r#"{"title":"t","labels":["a"]}"#, invalid, &["labels"]),
        (r#"{"title":"t","labels":{"a":1}}"#, invalid, &["labels.a"]),
        (r#"{"title":"t","labels":{"A":"1"}}"#, invalid, &["labels.A"]),
        (&wordy, invalid, &["labels.k"]),
        (r#"{"title":"t","requires":"rust"}"#, invalid, &["requires"]),
        (r#"{"title":"t","requires":["ok","Not Ok"]}"#, invalid, &["requires[1]"]),
        (&many, invalid, &["requires"]),
        (r#"{"title":"t","queue":"a/b"}"#, invalid, &["queue"]),
        (r#"{"title":"t","agent_id":"task_0000000000000"}"#, invalid, &["agent_id"]),
        (r#"{"title":"t","agent_id":"agent_0000000000000"}"#, invalid, &["agent_id"]),
        (r#"{"title":"t","backoff":[1]}"#, invalid, &["backoff"]),
        (r#"{"title":"t","timeouts":{"heartbeat_ms":999}}"#, invalid, &["timeouts.heartbeat_ms"]),
        (r#"{"title":"t","delay_ms":1,"eligible_at":"2026-01-31T12:00:00Z"}"#, invalid, &["eligible_at"]),
        (r#"{"title":"t","eligible_at":"tomorrow"}"#, invalid, &["eligible_at"]),
        (&deep, invalid, &["input"]),
        (&deeper, invalid, &["input"]),
        (r#"{"title":"t","input":{"k":"\u0000"}}"#, invalid, &["input"]),
        (
            r#"{"title":"","queue":"Q","priority":11,"attempts_max":0,"backoff":{"factor":0.1},"kind":3}"#,
            invalid,
            &["attempts_max", "backoff.factor", "kind", "priority", "queue", "title"],
        ),
    ];
    for (body, code, expected) in table {
        let what: String = body.chars().take(100).collect();
        let answer =
            refused(send(&hive, Method::POST, "/api/v2/tasks", (*body).to_owned()), (422, code), &what)
                .await?;
        let mut fields: Vec<_> =
            answer.fields().iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect();
        fields.sort_unstable();
        assert_eq!(&fields, expected, "{what}: {}", answer.problem);
    }
    is_empty(&hive).await?;
    for fine in [
        format!(r#"{{"title":"{}"}}"#, "ä".repeat(256)),
        format!(r#"{{"title":"t","input":{}}}"#, nested(64)),
    ] {
        let answer = send(&hive, Method::POST, "/api/v2/tasks", fine).send().await?;
        assert_eq!(answer.status(), 201, "exactly at the limit: {}", answer.text().await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_is_sent() -> Result<()> {
    let hive = Hive::start().await?;
    let of = |bytes: usize| format!(r#"{{"title":"t","input":"{}"}}"#, "x".repeat(bytes - 2));
    let too_large = (413, "payload_too_large");
    refused(send(&hive, Method::POST, "/api/v2/tasks", of(2 << 20)), too_large, "2 MiB with a length")
        .await?;
    let pieces: Vec<_> = of(2 << 20)
        .into_bytes()
        .chunks(16 << 10)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect();
    let chunked = Body::wrap_stream(stream::iter(pieces));
    refused(send(&hive, Method::POST, "/api/v2/tasks", chunked), too_large, "2 MiB in chunks").await?;
    let small = json!({"name": "x".repeat(600 << 10)}).to_string();
    refused(send(&hive, Method::POST, "/api/v2/agents", small), too_large, "600 KiB for an agent").await?;
    let answer = refused(
        send(&hive, Method::POST, "/api/v2/tasks", of((1 << 20) + 1)),
        (422, "invalid_value"),
        "1 MiB + 1",
    )
    .await?;
    assert_eq!(answer.fields(), ["input"]);
    is_empty(&hive).await?;
    let exact = send(&hive, Method::POST, "/api/v2/tasks", of(1 << 20)).send().await?;
    assert_eq!(exact.status(), 201, "exactly 1 MiB: {}", exact.text().await?);
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_not_found() -> Result<()> {
    let hive = Hive::start().await?;
    let beat = r#"{"attempt":1}"#;
    let fail = r#"{"attempt":1,"error":{"kind":"k","message":"m"}}"#;
    let mut routes = vec![
        (Method::GET, "/api/v2/queues/nowhere".to_owned(), ""),
        (Method::GET, "/api/v2/queues/Not-A-Name".to_owned(), ""),
        (Method::POST, "/api/v2/queues/Not-A-Name/pause".to_owned(), ""),
        (Method::GET, "/api/v2/nothing".to_owned(), ""),
        (Method::GET, "/api/v1/tasks".to_owned(), ""),
        (Method::GET, "/api/v2".to_owned(), ""),
        (Method::GET, "/api/v2/tasks/task_0000000000000/nothing".to_owned(), ""),
    ];
    let long = format!("task_{}", "0".repeat(3_000));
    // Unknown, of the wrong kind, of the wrong form.
    let tasks =
        ["task_0000000000000", "agent_0000000000000", "7", "task_", "TASK_0000000000000", "a%2Fb", &long];
    for id in tasks {
        routes.push((Method::GET, format!("/api/v2/tasks/{id}"), ""));
        routes.push((Method::PATCH, format!("/api/v2/tasks/{id}"), r#"{"priority":1}"#));
        for (verb, body) in
            [("cancel", ""), ("retry", ""), ("heartbeat", beat), ("complete", beat), ("fail", fail)]
        {
            routes.push((Method::POST, format!("/api/v2/tasks/{id}/{verb}"), body));
        }
        routes.push((Method::POST, format!("/api/v2/tasks/{id}/output"), r#"{"attempt":1,"text":"t"}"#));
        for list in ["attempts", "events", "output"] {
            routes.push((Method::GET, format!("/api/v2/tasks/{id}/{list}"), ""));
        }
    }
    for id in ["agent_0000000000000", "task_0000000000000", "x"] {
        routes.push((Method::GET, format!("/api/v2/agents/{id}"), ""));
        routes.push((Method::DELETE, format!("/api/v2/agents/{id}"), ""));
        routes.push((Method::PATCH, format!("/api/v2/agents/{id}"), r#"{"capacity":1}"#));
        for verb in ["lease", "drain", "resume", "restart"] {
            routes.push((Method::POST, format!("/api/v2/agents/{id}/{verb}"), ""));
        }
    }
    for (method, path, body) in routes {
        let what = format!("{method} {}", path.chars().take(80).collect::<String>());
        refused(send(&hive, method, &path, body), (404, "not_found"), &what).await?;
    }
    is_empty(&hive).await
}

#[tokio::test]
async fn a_wrong_method_is_told_which_ones_there_are() -> Result<()> {
    let hive = Hive::start().await?;
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v2/tasks", "POST, GET, HEAD"),
        (Method::PUT, "/api/v2/tasks/task_0000000000000", "GET, HEAD, PATCH"),
        (Method::GET, "/api/v2/tasks/task_0000000000000/complete", "POST"),
        (Method::POST, "/api/v2/system", "GET, HEAD"),
        (Method::OPTIONS, "/api/v2/agents", "POST, GET, HEAD"),
    ] {
        let what = format!("{method} {path}");
        let answer = refused(send(&hive, method, path, ""), (405, "not_found"), &what).await?;
        assert_eq!(answer.headers["allow"], allowed, "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_know_or_cannot_read_is_refused_by_name() -> Result<()> {
    let hive = Hive::start().await?;
    let id = hive.submit(&json!({"title": "t"})).await?;
    let (unknown, invalid) = ("unknown_field", "invalid_value");
    let events = format!("tasks/{id}/events?cursor=x");
    let attempts = format!("tasks/{id}/attempts?cursor=x");
    let output = format!("tasks/{id}/output?cursor=1");
    let shown = format!("tasks/{id}?full=true");
    let table: &[(&str, &str, &[&str])] = &[
        ("tasks?stat=queued", unknown, &["stat"]),
        ("tasks?limit=0&que=x&cursor=7", unknown, &["limit", "cursor", "que"]),
        (&shown, unknown, &["full"]),
        ("system?verbose=1", unknown, &["verbose"]),
        ("dead-letters?state=failed", unknown, &["state"]),
        ("tasks?limit=201", invalid, &["limit"]),
        ("tasks?limit=many", invalid, &["limit"]),
        ("tasks?limit=1&limit=2", invalid, &["limit"]),
        ("tasks?state=done", invalid, &["state"]),
        ("tasks?queue=Not%20a%20name", invalid, &["queue"]),
        ("tasks?agent_id=me", invalid, &["agent_id"]),
        ("tasks?label=alone", invalid, &["label"]),
        ("tasks?created_after=yesterday", invalid, &["created_after"]),
        ("tasks?cursor=garbage", invalid, &["cursor"]),
        ("tasks?cursor=agent_0000000000000", invalid, &["cursor"]),
        ("agents?cursor=task_0000000000000", invalid, &["cursor"]),
        ("events?cursor=x", invalid, &["cursor"]),
        ("events?after=-1", invalid, &["after"]),
        ("events?after=1&cursor=1", invalid, &["cursor"]),
        (&events, invalid, &["cursor"]),
        (&attempts, invalid, &["cursor"]),
        (&output, invalid, &["cursor"]),
    ];
    for (path, code, expected) in table {
        let request = hive.request(Method::GET, &format!("/api/v2/{path}"));
        assert_eq!(refused(request, (422, code), path).await?.fields(), *expected, "{path}");
    }
    let submit = send(&hive, Method::POST, "/api/v2/tasks?dry_run=true", r#"{"title":"t"}"#);
    assert_eq!(refused(submit, (422, unknown), "a submit").await?.fields(), ["dry_run"]);
    Ok(())
}

#[tokio::test]
async fn without_the_right_token_nothing_is_told_but_that_one_is_needed() -> Result<()> {
    let hive = Hive::start().await?;
    let client = reqwest::Client::new();
    let (right, cut) = (&hive.token, &hive.token[1..]);
    let misspelt = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some("Bearer wrong".into()),
        Some(format!("Bearer {cut}")),
        Some(format!("Bearer {right}x")),
        Some(format!("Bearer {}", right.to_uppercase())),
        Some(format!("Basic {right}")),
        Some(format!("Bearer{right}")),
        Some(right.clone()),
    ];
    let mut told = Vec::new();
    for authorization in misspelt {
        // Also where there is nothing, so that strangers learn nothing of what there is.
        for path in ["/api/v2/tasks", "/api/v2/nothing", "/api/v2/tasks/task_0000000000000"] {
            let mut request = client.post(format!("{}{path}", hive.url)).body("{");
            if let Some(value) = &authorization {
                request = request.header("Authorization", value);
            }
            let answer = refused(request, (401, "unauthorized"), &format!("{authorization:?}")).await?;
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            told.push(answer.problem["detail"].clone());
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "the same for every cause: {told:?}");
    is_empty(&hive).await
}

/// A verb, a body, the status and code that answer it, and the fields it names.
type BadReport<'a> = (&'a str, &'a str, (u16, &'a str), &'a [&'a str]);

#[tokio::test]
async fn a_report_against_the_rules_is_refused_and_changes_nothing() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("rude", &[], 1).await?;
    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    let large = json!({"attempt": 1, "result": "x".repeat(1 << 20)}).to_string();
    let much = json!({"attempt": 1, "text": "x".repeat((64 << 10) + 1)}).to_string();
    let (unknown, invalid) = ((422, "unknown_field"), (422, "invalid_value"));
    let table: &[BadReport<'_>] = &[
        ("heartbeat", "{}", invalid, &["attempt"]),
        ("heartbeat", r#"{"attempt":1,"progress":1.1}"#, invalid, &["progress"]),
        ("heartbeat", r#"{"attempt":1,"progres":1}"#, unknown, &["progres"]),
        ("heartbeat", r#"{"attempt":2}"#, (409, "stale_lease"), &[]),
        ("complete", r#"{"attempt":0}"#, invalid, &["attempt"]),
        ("complete", r#"{"attempt":-1}"#, invalid, &["attempt"]),
        ("complete", r#"{"attempt":1,"result":"\u0000"}"#, invalid, &["result"]),
        ("complete", r#"{"attempt":1,"usage":{"cost_usd":-1}}"#, invalid, &["usage.cost_usd"]),
        ("complete", &large, invalid, &["result"]),
        ("complete", r#"{"attempt":2}"#, (409, "stale_lease"), &[]),
        ("fail", r#"{"attempt":1}"#, invalid, &["error.kind"]),
        ("fail", r#"{"attempt":1,"error":"broken"}"#, invalid, &["error"]),
        ("fail", r#"{"attempt":1,"error":{"kind":"","message":""}}"#, invalid, &["error.kind"]),
        ("fail", r#"{"attempt":2,"error":{"kind":"k","message":"m"}}"#, (409, "stale_lease"), &[]),
        ("output", r#"{"attempt":1,"text":""}"#, invalid, &["text"]),
        ("output", &much, invalid, &["text"]),
        ("output", r#"{"attempt":2,"text":"t"}"#, (409, "stale_lease"), &[]),
    ];
    for (verb, body, expected, fields) in table {
        let what = format!("{verb} {}", body.chars().take(60).collect::<String>());
        let request = send(&hive, Method::POST, &format!("/api/v2/tasks/{id}/{verb}"), (*body).to_owned());
        let answer = refused(request, *expected, &what).await?;
        assert_eq!(answer.fields(), *fields, "{what}");
    }
    let shown = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!(
        (&shown["state"], &shown["attempt"], &shown["progress"]),
        (&json!("working"), &json!(1), &Value::Null)
    );
    assert_eq!(hive.get(&format!("/api/v2/tasks/{id}/output")).await?["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_correlation_id_goes_through_answer_task_and_events() -> Result<()> {
    let hive = Hive::start().await?;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let agent = hive.agent("follower", &[], 9).await?;
    let table = [
        (vec![("x-correlation-id", "Order-7:a.b_c")], Some("Order-7:a.b_c")),
        (vec![("traceparent", parent.as_str())], Some(trace)),
        (vec![("x-correlation-id", "mine"), ("traceparent", &parent)], Some("mine")),
        (vec![("x-correlation-id", "not fit")], None),
        (vec![], None),
    ];
    for (headers, expected) in table {
        let mut request = send(&hive, Method::POST, "/api/v2/tasks", r#"{"title":"t"}"#);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let echoed = answer.headers()["x-correlation-id"].to_str()?.to_owned();
        let task: Value = answer.json().await?;
        assert!(expected.is_none_or(|expected| expected == echoed), "{headers:?} gave {echoed}");
        assert!(!echoed.contains(' ') && !echoed.is_empty());
        assert_eq!(task["correlation_id"], *echoed);
        claim(&hive, &agent).await?;
        let path = format!("/api/v2/tasks/{}", task["id"].as_str().context("an id")?);
        let cancel =
            hive.request(Method::POST, &format!("{path}/cancel")).header("x-correlation-id", "the-end");
        cancel.json(&json!({"force": true})).send().await?.error_for_status()?;
        let events = hive.get(&format!("{path}/events")).await?;
        assert_eq!(json!(each(&events, "correlation_id")), json!([echoed, echoed, "the-end"]));
    }
    let log =
        hive.request(Method::GET, "/api/v2/nothing").header("x-correlation-id", "second").send().await?;
    assert_eq!(log.headers()["x-correlation-id"], "second");
    Ok(())
}
