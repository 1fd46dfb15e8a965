//! The contract as a whole: the document, the login, the shapes, idempotency keys, health and metrics.
//!
//! Shapes are compared with `snapshots/`. With `CI` set insta writes nothing; elsewhere `INSTA_UPDATE=always` takes over
//! what has changed on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::{Method, Response, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Hive, Options, expect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api_tasks::{act, claim, each};

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// The document's paths, each with an id that could be one.
async fn documented(hive: &Hive) -> Result<Vec<(String, BTreeSet<String>)>> {
    let document = hive.get("/api/v2/openapi.json").await?;
    let paths = document["paths"].as_object().context("paths")?;
    let fill = |path: &str| {
        let id = match path.split('/').nth(3) {
            Some("tasks") => "task_0000000000000",
            Some("agents") => "agent_0000000000000",
            _ => "default",
        };
        path.replace("{id}", id).replace("{name}", id)
    };
    let known = ["get", "post", "patch", "put", "delete"];
    let methods = |item: &Value| {
        let named = known.iter().filter(|method| item.get(**method).is_some());
        named.map(|method| method.to_uppercase()).collect::<BTreeSet<_>>()
    };
    Ok(paths.iter().map(|(path, item)| (fill(path), methods(item))).collect())
}

/// The document says the same to everybody; all else under `/api` is somebody's.
fn is_for_everybody(path: &str) -> bool {
    !path.starts_with("/api/") || ["/api/v2/openapi.json", "/api/asyncapi.json"].contains(&path)
}

#[tokio::test]
async fn nothing_under_api_but_the_document_answers_a_stranger_whatever_the_method() -> Result<()> {
    let hive = Hive::start().await?;
    let client = reqwest::Client::new();
    let mut asked = 0;
    for (path, _) in documented(&hive).await? {
        if is_for_everybody(&path) {
            let answer = client.get(format!("{}{path}", hive.url)).send().await?;
            assert_eq!(answer.status(), 200, "{path} needs no login");
            continue;
        }
        for method in METHODS {
            for place in [path.clone(), format!("{path}/"), format!("{path}?limit=1")] {
                let answer = client.request(method.clone(), format!("{}{place}", hive.url)).send().await?;
                assert_eq!(answer.status(), 401, "{method} {place}");
                assert_eq!(answer.headers()["www-authenticate"], "Bearer");
                asked += 1;
            }
        }
    }
    ensure!(asked > 400, "only {asked} requests: the document has lost its paths");
    Ok(())
}

#[tokio::test]
async fn every_documented_operation_is_there_and_every_other_method_is_refused() -> Result<()> {
    let hive = Hive::start().await?;
    for (path, operations) in documented(&hive).await? {
        ensure!(!operations.is_empty(), "{path} has no operation");
        for method in METHODS {
            let answer = hive.request(method.clone(), &path).body("{}").send().await?;
            let status = answer.status().as_u16();
            // A stream goes on without an end.
            let is_stream =
                answer.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
            let text = if is_stream { String::new() } else { answer.text().await? };
            let is_named = operations.contains(method.as_str())
                || (method == Method::HEAD && operations.contains("GET"));
            assert_eq!(status == 405, !is_named, "{method} {path} answered {status}: {text}");
            assert!(
                status < 500 && !text.contains("no such route"),
                "{method} {path} answered {status}: {text}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_names_only_schemas_that_it_has() -> Result<()> {
    let hive = Hive::start().await?;
    let document = hive.get("/api/v2/openapi.json").await?;
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
        "{}",
        document["openapi"]
    );
    let mut waiting = vec![&document];
    let mut named = BTreeSet::new();
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(members) => {
                named.extend(members.get("$ref").and_then(Value::as_str));
                waiting.extend(members.values());
            }
            Value::Array(items) => waiting.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    ensure!(named.len() > 10, "it names {} schemas", named.len());
    for reference in named {
        let pointer = reference.strip_prefix('#').context("a reference within the document")?;
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let operations = document["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations {
        let is_open = operation["security"] == json!([]);
        assert_eq!(is_open, is_for_everybody(path), "{method} {path}");
        assert!(
            operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()),
            "{method} {path}"
        );
        assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}: an id twice");
    }
    Ok(())
}

/// Without what differs from run to run.
fn redacted(value: &Value) -> Value {
    let is_id = |text: &str, prefix: &str| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 13 && !rest.contains('_'))
    };
    match value {
        Value::String(text) if text.contains('/') => {
            let parts = text.split('/').map(|part| redacted(&json!(part)));
            json!(parts.filter_map(|part| Some(part.as_str()?.to_owned())).collect::<Vec<_>>().join("/"))
        }
        Value::String(text) if is_id(text, "task_") => json!("[task]"),
        Value::String(text) if is_id(text, "agent_") => json!("[agent]"),
        Value::String(text) if text.len() == 27 && text.ends_with('Z') && text.contains('T') => {
            json!("[time]")
        }
        Value::String(text) if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            json!("[hex]")
        }
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(members) => {
            let shown = |(name, value): (&String, &Value)| {
                let value = match name.as_str() {
                    "eligible_at_us" => json!("[time]"),
                    // Events of other things come between.
                    "seq" => json!("[seq]"),
                    _ => redacted(value),
                };
                (name.clone(), value)
            };
            members.iter().map(shown).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The problem that answers a request, redacted.
async fn problem(hive: &Hive, method: Method, path: &str, body: &Value) -> Result<Value> {
    Ok(redacted(&hive.request(method, path).json(body).send().await?.json().await?))
}

#[tokio::test]
async fn what_the_api_shows_has_the_shapes_of_the_contract() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = json!({"name": "coder-1", "role": "coder", "capabilities": ["rust"], "capacity": 2,
        "labels": {"team": "a"}, "link": {"kind": "worker"}});
    let agent = hive.post("/api/v2/agents", &agent, 201).await?;
    let holder = agent["id"].as_str().context("an id")?;
    let asked = json!({"title": "Translate", "input": {"text": "Grüße"}, "queue": "mail", "kind": "translate",
        "priority": 7, "requires": ["rust"], "labels": {"customer": "acme"}, "attempts_max": 2,
        "backoff": {"initial_ms": 1, "factor": 1.0, "max_ms": 1, "jitter": 0.0},
        "timeouts": {"start_to_close_ms": 60000, "heartbeat_ms": 5000}});
    let submitted = hive.post("/api/v2/tasks", &asked, 201).await?;
    let id = submitted["id"].as_str().context("an id")?;
    let assignment = claim(&hive, holder).await?;
    let beat = json!({"attempt": 1, "progress": 0.5, "message": "half"});
    let beat = act(&hive, id, "heartbeat", &beat, 200).await?;
    let usage =
        json!({"input_tokens": 1, "output_tokens": 2, "cost_usd": 0.5, "cpu_ms": 3, "peak_rss_bytes": 4});
    let written = act(&hive, id, "output", &json!({"attempt": 1, "text": "reading\n"}), 200).await?;
    let error = json!({"attempt": 1, "error": {"kind": "rate_limited", "message": "later"}, "usage": usage});
    let failed = act(&hive, id, "fail", &error, 200).await?;
    claim(&hive, holder).await?;
    act(&hive, id, "heartbeat", &json!({"attempt": 2, "progress": 0.75, "message": "most"}), 200).await?;
    let path = format!("/api/v2/tasks/{id}");
    let working = hive.get(&path).await?;
    let done = json!({"attempt": 2, "result": {"text": "Greetings"}, "usage": usage});
    act(&hive, id, "complete", &done, 200).await?;
    hive.until(&format!("/api/v2/agents/{holder}"), |agent| agent["completed"] == 1 && agent["working"] == 0)
        .await?;
    hive.until("/api/v2/queues/mail", |queue| queue["tasks"]["completed"] == 1).await?;
    let names = ["attempts", "events", "output"].map(|name| format!("{path}/{name}"));
    let [attempts, events, output] = &names;
    for (name, shown) in [
        ("task_submitted", submitted),
        ("task_working", working),
        ("task_completed", hive.get(&path).await?),
        ("tasks", hive.get("/api/v2/tasks").await?),
        ("attempts", hive.get(attempts).await?),
        ("task_events", hive.get(events).await?),
        ("output", hive.get(output).await?),
        ("assignment", assignment),
        ("answers_to_reports", json!([beat, written, failed])),
        ("agent_registered", agent.clone()),
        ("agents", hive.get("/api/v2/agents").await?),
        ("queue", hive.get("/api/v2/queues/mail").await?),
        ("queues", hive.get("/api/v2/queues").await?),
        ("dead_letters", hive.get("/api/v2/dead-letters").await?),
    ] {
        insta::assert_json_snapshot!(name, redacted(&shown));
    }
    let broken = json!({"titel": "t", "priority": 12});
    insta::assert_json_snapshot!(
        "problem_fields",
        problem(&hive, Method::POST, "/api/v2/tasks", &broken).await?
    );
    let late = problem(&hive, Method::POST, &format!("{path}/complete"), &json!({"attempt": 1})).await?;
    insta::assert_json_snapshot!("problem_stale", late);
    Ok(())
}

#[tokio::test]
async fn the_system_shows_its_counts_its_log_and_its_actors() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("one", &[], 1).await?;
    hive.submit(&json!({"title": "t"})).await?;
    let system = hive.until("/api/v2/system", |system| system["tasks"]["queued"] == 1).await?;
    assert_eq!((&system["phase"], &system["database"]), (&json!("serving"), &json!(tests::database::kind())));
    assert_eq!((&system["agents"]["total"], &system["tasks"]["total"]), (&json!(1), &json!(1)));
    assert_eq!(system["data_dir"], json!(hive.folder()));
    let (_, version, _) = tests::cli(&hive, &["--version"])?;
    assert_eq!(version.trim(), format!("hive {}", system["version"].as_str().context("a version")?));
    let events = hive.get("/api/v2/events").await?;
    assert_eq!(each(&events, "kind"), ["system.started", "agent.registered", "task.submitted"]);
    assert_eq!(system["log"], json!({"first_seq": 1, "last_seq": 3}));
    let actors = hive.get("/api/v2/system/actors").await?;
    let paths: Vec<_> = each(&actors, "path");
    for path in ["hive/writer", "hive/coordinator"] {
        assert!(paths.contains(&json!(path)), "{path} is missing in {paths:?}");
    }
    assert_eq!((&actors["restarts_total"], &actors["recent_failures"]), (&json!(0), &json!([])));
    assert_eq!(actors["total"], json!(paths.len()));
    Ok(())
}

/// Submits under a key; answers status, whether it was replayed, and the body.
async fn keyed(hive: &Hive, path: &str, key: &str, body: &Value) -> Result<(u16, bool, Value)> {
    let request = hive.request(Method::POST, path).header("Idempotency-Key", key).json(body);
    let answer = request.send().await?;
    let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    Ok((answer.status().as_u16(), replayed, answer.json().await?))
}

#[tokio::test]
async fn a_key_stands_for_one_task_whose_present_state_a_repeat_shows() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("worker", &[], 5).await?;
    let body = json!({"title": "once", "input": 1});
    let (status, replayed, first) = keyed(&hive, "/api/v2/tasks", "key-1", &body).await?;
    assert_eq!((status, replayed, &first["state"]), (201, false, &json!("queued")));
    let id = first["id"].as_str().context("an id")?;
    claim(&hive, &agent).await?;
    act(&hive, id, "complete", &json!({"attempt": 1}), 200).await?;
    for key in ["key-1", "\"key-1\""] {
        let (status, replayed, again) = keyed(&hive, "/api/v2/tasks", key, &body).await?;
        assert_eq!((status, replayed), (201, true), "quoted or bare: {key}");
        assert_eq!((again["id"].as_str(), &again["state"]), (Some(id), &json!("completed")));
    }
    let (status, _, refused) = keyed(&hive, "/api/v2/tasks", "key-1", &json!({"title": "twice"})).await?;
    assert_eq!((status, &refused["code"]), (422, &json!("idempotency_mismatch")));
    for bad in ["", "\"\"", "with space", &"k".repeat(256)] {
        let (status, _, refused) = keyed(&hive, "/api/v2/tasks", bad, &body).await?;
        assert_eq!((status, &refused["code"]), (422, &json!("invalid_value")), "{bad:?}");
        assert_eq!(refused["errors"][0]["field"], "Idempotency-Key");
    }
    let (status, replayed, other) = keyed(&hive, "/api/v2/tasks", &"k".repeat(255), &body).await?;
    assert_eq!((status, replayed), (201, false));
    assert_ne!(other["id"].as_str(), Some(id), "another key is another task");
    assert_eq!(each(&hive.get("/api/v2/tasks").await?, "id").len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_key_counts_for_its_route_only_and_survives_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let (task, agent) = (json!({"title": "t"}), json!({"name": "a"}));
    let (_, _, submitted) = keyed(&hive, "/api/v2/tasks", "shared", &task).await?;
    let (status, replayed, registered) = keyed(&hive, "/api/v2/agents", "shared", &agent).await?;
    assert_eq!((status, replayed), (201, false), "{registered}");
    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    let (status, replayed, again) = keyed(&hive, "/api/v2/tasks", "shared", &task).await?;
    assert_eq!((status, replayed, &again["id"]), (201, true, &submitted["id"]));
    let (status, replayed, again) = keyed(&hive, "/api/v2/agents", "shared", &agent).await?;
    assert_eq!((status, replayed, &again["id"]), (201, true, &registered["id"]), "not: the name is taken");
    let (status, _, other) = keyed(&hive, "/api/v2/agents", "shared", &json!({"name": "b"})).await?;
    assert_eq!((status, &other["code"]), (422, &json!("idempotency_mismatch")));
    Ok(())
}

#[tokio::test]
async fn many_submits_under_one_key_at_a_time_make_one_task() -> Result<()> {
    let hive = Hive::start().await?;
    let body = json!({"title": "once"});
    let answers = try_join_all((0..40).map(|_| keyed(&hive, "/api/v2/tasks", "race", &body))).await?;
    let ids: BTreeSet<_> = answers.iter().map(|(_, _, task)| task["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(answers.iter().all(|(status, ..)| *status == 201));
    assert_eq!(answers.iter().filter(|(_, replayed, _)| !replayed).count(), 1, "one of them made it");
    assert_eq!(each(&hive.get("/api/v2/tasks").await?, "id").len(), 1);
    Ok(())
}

async fn open(hive: &Hive, path: &str) -> Result<Response> {
    Ok(reqwest::get(format!("{}{path}", hive.url)).await?)
}

#[tokio::test]
async fn health_tells_of_every_part_without_a_login() -> Result<()> {
    let hive = Hive::start().await?;
    let health = expect(open(&hive, "/health").await?, StatusCode::OK).await?;
    let parts = health["components"].as_object().context("components")?;
    let names: Vec<_> = parts.keys().map(String::as_str).collect();
    assert_eq!(names, ["actors", "database", "feed", "runtime", "writer"]);
    for (name, part) in parts {
        assert_eq!(part["status"], "healthy", "{name}: {part}");
        assert!(part["details"].is_string() && part["response_time_ms"].is_number(), "{name}: {part}");
    }
    assert_eq!(health["summary"], json!({"healthy": 5, "unhealthy": 0, "total": 5}));
    assert_eq!(health["status"], "healthy");
    for name in ["version", "timestamp"] {
        assert!(health[name].is_string(), "{name} is missing: {health}");
    }
    expect(open(&hive, "/health/live").await?, StatusCode::OK).await?;
    expect(open(&hive, "/health/ready/").await?, StatusCode::OK).await?;
    Ok(())
}

/// A submit whose body is still on its way, on a connection of its own: a request under way.
struct Begun(TcpStream);

impl Begun {
    async fn send(hive: &Hive) -> Result<Self> {
        let address = hive.url.strip_prefix("http://").context("an address")?;
        let mut stream = TcpStream::connect(address).await?;
        let head = format!("POST /api/v2/tasks HTTP/1.1\r\nHost: {address}\r\nContent-Length: 13\r\n");
        let login = format!("Authorization: Bearer {}\r\nConnection: close\r\n\r\n{{\"title\":", hive.token);
        stream.write_all((head + &login).as_bytes()).await?;
        Ok(Self(stream))
    }

    async fn finish(mut self) -> Result<String> {
        self.0.write_all(b"\"t\"}").await?;
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// Asks a hive to end while a call waits for assignments, and comes back when that call has ended.
async fn drain(hive: &Hive, agent: &str) -> Result<()> {
    let wait = async {
        let assignments =
            tokio::time::timeout(Duration::from_secs(20), hive.lease(agent, 1, 30_000)).await??;
        assert_eq!(assignments, Vec::<Value>::new(), "long before its 30 s");
        anyhow::Ok(())
    };
    let stop = async {
        // Until the call waits; one that came later would be refused.
        tokio::time::sleep(Duration::from_millis(200)).await;
        hive.signal(Signal::TERM)
    };
    tokio::try_join!(wait, stop).map(|_| ())
}

#[tokio::test]
async fn a_hive_that_drains_takes_no_work_and_ends_when_what_is_under_way_has_ended() -> Result<()> {
    let mut hive = Hive::start().await?;
    let agent = hive.agent("waiting", &[], 1).await?;
    let submit = Begun::send(&hive).await?;
    drain(&hive, &agent).await?;
    let answer = submit.finish().await?;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"not_ready\""), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nretry-after: "), "{answer}");
    assert!(hive.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_hive_that_drains_says_that_it_is_not_ready() -> Result<()> {
    let mut hive = Hive::start().await?;
    let agent = hive.agent("waiting", &[], 1).await?;
    let submit = Begun::send(&hive).await?;
    drain(&hive, &agent).await?;
    // As a load balancer asks: each time on a new connection.
    let answer = open(&hive, "/health/ready").await.context("what drains still answers")?;
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(expect(answer, StatusCode::SERVICE_UNAVAILABLE).await?["code"], "not_ready");
    submit.finish().await?;
    assert!(hive.ended().await?.success());
    Ok(())
}

/// What somebody who watches a hive relies on.
const FAMILIES: [&str; 14] = [
    "hive_actors",
    "hive_heartbeats_total",
    "hive_http_bodies_in_flight_bytes",
    "hive_http_request_seconds",
    "hive_http_requests_total",
    "hive_mailbox_messages",
    "hive_queue_tasks",
    "hive_tasks",
    "hive_wal_bytes",
    "hive_writer_batches_total",
    "hive_writer_batch_commands",
    "hive_writer_commands_total",
    "hive_writer_commit_seconds",
    "hive_writer_queue_commands",
];

/// Families of Prometheus' text format, with their types; fails on a line that is none of it.
fn families(text: &str) -> Result<BTreeMap<&str, &str>> {
    let mut types = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("a type")?;
            ensure!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            ensure!(types.insert(name, kind).is_none(), "{name} stands twice");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').with_context(|| format!("no sample: {line}"))?;
            value.parse::<f64>().with_context(|| line.to_owned())?;
            let (name, labels) =
                series.split_once('{').map_or((series, None), |(name, rest)| (name, Some(rest)));
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            ensure!(types.contains_key(name) || types.contains_key(base), "{name} has no type before it");
            ensure!(labels.is_none_or(|labels| labels.ends_with("\"}") && labels.contains("=\"")), "{line}");
        }
    }
    Ok(types)
}

#[tokio::test]
async fn metrics_are_well_formed_and_count_what_happens() -> Result<()> {
    let hive = Hive::start().await?;
    for _ in 0..3 {
        hive.submit(&json!({"title": "t"})).await?;
    }
    hive.request(Method::GET, "/api/v2/tasks/task_0000000000000").send().await?;
    hive.request(Method::GET, "/api/v2/never/heard").send().await?;
    let agent = hive.agent("counted", &[], 1).await?;
    let held = claim(&hive, &agent).await?;
    let held = held["task_id"].as_str().context("an id")?;
    act(&hive, held, "heartbeat", &json!({"attempt": 1}), 200).await?;
    hive.until("/api/v2/system", |system| system["tasks"]["working"] == 1).await?;
    let answer = open(&hive, "/metrics").await?;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await?;
    let types = families(&text)?;
    for (name, kind) in &types {
        assert!(name.starts_with("hive_"), "{name}");
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    }
    for name in FAMILIES {
        assert!(types.contains_key(name), "{name} is missing: {types:?}");
    }
    for series in [
        r#"hive_http_requests_total{method="POST",route="/api/v2/tasks",status="201"} 3"#,
        r#"hive_http_requests_total{method="GET",route="/api/v2/tasks/{id}",status="404"} 1"#,
        r#"hive_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"hive_http_request_seconds_count{route="/api/v2/tasks"} 3"#,
        r#"hive_writer_commands_total{kind="submit_task",outcome="applied"} 3"#,
        r#"hive_tasks{state="working"} 1"#,
        r#"hive_tasks{state="queued"} 2"#,
    ] {
        assert!(text.lines().any(|line| line == series), "{series} is missing in\n{text}");
    }
    Ok(())
}
