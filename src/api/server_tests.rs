//! The API as a client meets it: a real server on a free port, with a store of its own.

#[path = "server_tests/api_keys.rs"]
mod api_keys;
#[path = "server_tests/process_agents.rs"]
mod process_agents;
#[path = "server_tests/roles.rs"]
mod roles;
#[path = "server_tests/streams.rs"]
mod streams;
#[path = "server_tests/submits.rs"]
mod submits;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::Timestamp;
use links::{LinkSettings, Links};
use reqwest::{Client, Method, Response};
use runtime::{Parts, Runtime, RuntimeSettings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Clock, OpenOptions};
use supervision::{Home, Registry};

use super::*;
use crate::state::{ApiSettings, SystemFacts};

const TOKEN: &str = "secret";

struct Hive {
    addr: SocketAddr,
    client: Client,
    runtime: Runtime,
    store: store::Store,
    in_flight: crate::InFlight,
    _folder: tempfile::TempDir,
}

impl Hive {
    async fn start(settings: ApiSettings) -> Self {
        Self::start_at(settings, Clock::starting_from(Timestamp::ZERO)).await
    }

    /// By a clock that the test may hold.
    async fn start_at(settings: ApiSettings, clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store::open_at(&OpenOptions::new(folder.path()), clock).unwrap();
        let (registry, metrics) = (Registry::new(), prometheus::Registry::new());
        // no process is ever started here, so nothing ever guards one
        let (data_dir, guard) = (folder.path().to_owned(), "/nowhere".into());
        let parts = Parts {
            links: Links::open(LinkSettings { data_dir, guard, kill_grace_ms: 1_000 }).unwrap(),
            store: &store,
            node: 0,
            settings: RuntimeSettings::default(),
            registry: &registry,
            metrics: &metrics,
            home: &Home::current("core").unwrap(),
            encode: crate::encoder(&store.epoch),
        };
        let runtime = Runtime::start(parts).await.unwrap();
        let in_flight = crate::InFlight::default();
        let state = ApiState {
            runtime: runtime.handle.clone(),
            readers: store.readers.clone(),
            feed: runtime.feed.clone(),
            registry,
            clock: store.clock.clone(),
            metrics,
            admin_token_sha256: Sha256::digest(TOKEN).into(),
            facts: SystemFacts {
                version: "0.0.0",
                started_at: store.clock.now(),
                node: 0,
                database: "sqlite",
                data_dir: PathBuf::from("/data"),
                epoch: store.epoch.clone(),
            },
            settings,
            in_flight: in_flight.clone(),
            live: crate::LiveSettings::default(),
            sessions: runtime.sessions.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drive(serve(listener, state).unwrap());
        Self { addr, client: Client::new(), runtime, store, in_flight, _folder: folder }
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.ask_as(TOKEN, method, path)
    }

    fn ask_as(&self, token: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addr)).bearer_auth(token)
    }

    /// A new API key of this role, called like it.
    async fn key(&self, role: &str) -> String {
        self.key_with(json!({"name": role, "role": role})).await
    }

    async fn key_with(&self, body: Value) -> String {
        let (status, key) = self.post("/api/v2/auth/keys", body).await;
        assert_eq!(status, 201, "{key}");
        key["key"].as_str().unwrap().to_owned()
    }

    async fn with(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        read(self.ask_as(token, method, path).json(&body).send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.ask(Method::POST, path).json(&body).send().await.unwrap()).await
    }

    async fn worker(&self, name: &str, capacity: u32) -> String {
        let (status, agent) = self.post("/api/v2/agents", json!({"name": name, "capacity": capacity})).await;
        assert_eq!(status, 201, "{agent}");
        agent["id"].as_str().unwrap().to_owned()
    }
}

/// Sends bytes as they are and reads the head of the answer, on a thread that may block.
async fn raw(addr: SocketAddr, request: Vec<u8>) -> String {
    let exchange = move || -> std::io::Result<String> {
        let mut socket = std::net::TcpStream::connect(addr)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.write_all(&request)?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte)? > 0 {
            head.extend_from_slice(&byte);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    actix_web::web::block(exchange).await.unwrap().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test is its owner and ends with it")]
fn drive(server: Server) {
    actix_web::rt::spawn(server);
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[actix_web::test]
async fn a_task_goes_from_submit_to_completed() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 2).await;
    let body = r#"{"title":"t","input":{ "b" : 1.0 },"labels":{"team":"x"}}"#;
    let request = hive.ask(Method::POST, "/api/v2/tasks").body(body).header("x-correlation-id", "order-7");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-correlation-id"], "order-7");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, task) = read(response).await;
    assert_eq!((status, &task["correlation_id"]), (201, &json!("order-7")));
    assert!(task.get("input").is_none() && task.get("result").is_none());
    let id = task["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v2/tasks/{id}"));

    let (status, leased) =
        hive.post(&format!("/api/v2/agents/{agent}/lease"), json!({"max": 2, "wait_ms": 5000})).await;
    assert_eq!(status, 200, "{leased}");
    assert_eq!(leased["assignments"][0]["task_id"], id);
    let attempt = &leased["assignments"][0]["attempt"];
    let beat = json!({"attempt": attempt, "progress": 0.5, "message": "half"});
    let (status, answer) = hive.post(&format!("{location}/heartbeat"), beat).await;
    assert_eq!((status, &answer["cancel_requested"]), (200, &json!(false)), "{answer}");
    let (_, shown) = hive.get(&location).await;
    assert_eq!((&shown["state"], &shown["progress"]["fraction"]), (&json!("working"), &json!(0.5)));
    let output = json!({"attempt": attempt, "text": "hello"});
    let (status, answer) = hive.post(&format!("{location}/output"), output).await;
    assert_eq!((status, &answer["stored_bytes"]), (200, &json!(5)), "{answer}");

    let done = json!({"attempt": attempt, "result": [1], "usage": {"input_tokens": 7}});
    for _ in 0..2 {
        let (status, answer) = hive.post(&format!("{location}/complete"), done.clone()).await;
        assert_eq!((status, &answer["state"]), (200, &json!("completed")), "a repeat answers the same");
    }
    let stale = json!({"attempt": 9, "result": 1});
    let (status, problem) = hive.post(&format!("{location}/complete"), stale).await;
    assert_eq!((status, &problem["code"]), (409, &json!("stale_lease")));
    let raw = hive.ask(Method::GET, &location).send().await.unwrap().text().await.unwrap();
    assert!(raw.contains(r#""input":{ "b" : 1.0 },"result":[1]"#), "byte for byte: {raw}");
    for (list, count) in [("attempts", 1), ("output", 1), ("events", 3)] {
        let (status, page) = hive.get(&format!("{location}/{list}")).await;
        assert_eq!((status, page["items"].as_array().unwrap().len()), (200, count), "{list}: {page}");
    }
}

#[actix_web::test]
async fn every_refusal_is_a_problem_with_its_correlation_id() {
    let hive = Hive::start(ApiSettings::default()).await;
    let huge = format!(r#"{{"title":"{}"}}"#, "x".repeat(2 << 20));
    #[rustfmt::skip]
    let table = [
        (Method::GET, "/api/v2/bogus", "", 404, "not_found"),
        (Method::GET, "/api/v2/tasks/7", "", 404, "not_found"),
        (Method::GET, "/api/v2/tasks/task_0000000000001", "", 404, "not_found"),
        (Method::GET, "/api/v2/tasks/task_0000000000001/events", "", 404, "not_found"),
        (Method::GET, "/api/v2/queues/never-used", "", 404, "not_found"),
        (Method::PUT, "/api/v2/tasks", "{}", 405, "not_found"),
        (Method::POST, "/api/v2/tasks", "{", 400, "malformed_json"),
        (Method::POST, "/api/v2/tasks", r#"{"title":"t","colour":1}"#, 422, "unknown_field"),
        (Method::POST, "/api/v2/tasks", r#"{"title":1}"#, 422, "invalid_value"),
        (Method::POST, "/api/v2/tasks", &huge, 413, "payload_too_large"),
        (Method::POST, "/api/v2/tasks?x=1", r#"{"title":"t"}"#, 422, "unknown_field"),
        (Method::GET, "/api/v2/tasks?cursor=x", "", 422, "invalid_value"),
        (Method::GET, "/api/v2/events?bogus=1", "", 422, "unknown_field"),
        (Method::POST, "/api/v2/agents/agent_0000000000001/lease", "", 404, "not_found"),
    ];
    for (method, path, body, status, code) in table {
        let response = hive.ask(method, path).body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let correlation_id = response.headers()["x-correlation-id"].to_str().unwrap().to_owned();
        assert_eq!(response.headers().contains_key("allow"), status == 405, "{path}");
        let (found, problem) = read(response).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}: {problem}");
        assert_eq!(problem["correlation_id"], correlation_id.as_str(), "{path}");
        assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{path}");
    }
    let outside = read(hive.ask(Method::GET, "/bogus").send().await.unwrap()).await;
    assert_eq!((outside.0, &outside.1["code"]), (404, &json!("not_found")));
}

#[actix_web::test]
async fn without_the_token_nothing_under_api_answers_and_health_does() {
    let hive = Hive::start(ApiSettings::default()).await;
    for path in ["/api/v2/tasks", "/api/v2/system", "/api/v2/bogus"] {
        let response = hive.client.get(format!("http://{}{path}", hive.addr)).send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let (status, problem) = read(response).await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")), "{path}");
    }
    for (path, expected) in [("/health/live", "live"), ("/health/ready/", "ready"), ("/health", "healthy")] {
        let response = hive.client.get(format!("http://{}{path}", hive.addr)).send().await.unwrap();
        let (status, health) = read(response).await;
        assert_eq!((status, &health["status"]), (200, &json!(expected)), "{path}: {health}");
    }
    let (_, metrics) = hive.get("/metrics").await;
    let counted = r#"hive_http_requests_total{method="GET",route="unmatched",status="401"} 3"#;
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
}

#[actix_web::test]
async fn the_same_key_makes_one_task_and_another_body_is_a_mismatch() {
    let hive = Hive::start(ApiSettings::default()).await;
    let submit = |body: &'static str, key: &'static str| {
        hive.ask(Method::POST, "/api/v2/tasks/").body(body).header("idempotency-key", key).send()
    };
    let first = submit(r#"{"title":"t"}"#, "k1").await.unwrap();
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let first = read(first).await;
    let again = submit(r#"{"title":"t"}"#, "\"k1\"").await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(read(again).await.1["id"], first.1["id"]);
    let other = read(submit(r#"{"title":"u"}"#, "k1").await.unwrap()).await;
    assert_eq!((other.0, &other.1["code"]), (422, &json!("idempotency_mismatch")));
    let broken = read(submit(r#"{"title":"t"}"#, "a b").await.unwrap()).await;
    assert_eq!((broken.0, &broken.1["errors"][0]["field"]), (422, &json!("Idempotency-Key")));
}

#[actix_web::test]
async fn a_lease_whose_client_goes_away_takes_nothing() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    let path = format!("/api/v2/agents/{agent}/lease");
    let gone = hive.ask(Method::POST, &path).json(&json!({"wait_ms": 30000}));
    assert!(gone.timeout(Duration::from_millis(100)).send().await.is_err());
    // The server sees the closed socket at its next poll of it.
    let (_, task) = hive.post("/api/v2/tasks", json!({"title": "t"})).await;
    let (_, leased) = hive.post(&path, json!({"wait_ms": 5000})).await;
    assert_eq!(leased["assignments"][0]["task_id"], task["id"], "{leased}");
}

#[actix_web::test]
async fn many_reports_and_many_redrives_answer_one_by_one() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 10).await;
    for _ in 0..2 {
        hive.post("/api/v2/tasks", json!({"title": "t", "attempts_max": 1})).await;
    }
    let lease = format!("/api/v2/agents/{agent}/lease");
    let (_, one) = hive.post(&lease, json!({"max": 1, "wait_ms": 5000})).await;
    let (_, two) = hive.post(&lease, json!({"max": 1, "wait_ms": 5000})).await;
    let (one, two) = (&one["assignments"][0]["task_id"], &two["assignments"][0]["task_id"]);
    let items = json!({"items": [
        {"task_id": one, "attempt": 1, "result": {"a": 1}},
        {"task_id": two, "attempt": 1, "error": {"kind": "k", "message": "m"}},
        {"task_id": "nonsense", "attempt": 1},
        {"task_id": one, "attempt": 0},
        {"task_id": one, "attempt": 7},
    ]});
    let (status, answer) = hive.post("/api/v2/leases/complete", items).await;
    let statuses: Vec<_> = answer["items"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(
        (status, statuses),
        (200, vec![&json!(200), &json!(200), &json!(404), &json!(422), &json!(409)])
    );
    assert_eq!(
        (&answer["items"][0]["state"], &answer["items"][1]["state"]),
        (&json!("completed"), &json!("failed"))
    );
    let (_, dead) = hive.get("/api/v2/dead-letters").await;
    assert_eq!((&dead["items"][0]["id"], dead["items"].as_array().unwrap().len()), (two, 1));
    let (_, answer) = hive.post("/api/v2/dead-letters/redrive", json!({"task_ids": [two, one, "x"]})).await;
    let statuses: Vec<_> = answer["items"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(409), &json!(404)]);
    assert_eq!(answer["items"][0]["task"]["id"], *two);
}

#[actix_web::test]
async fn queues_agents_and_the_system_are_shown_and_changed() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    let (status, taken) = hive.post("/api/v2/agents", json!({"name": "coder"})).await;
    assert_eq!((status, &taken["code"]), (409, &json!("unique_conflict")));
    let (status, drained) = hive.post(&format!("/api/v2/agents/{agent}/drain"), json!({})).await;
    assert_eq!((status, &drained["state"]), (200, &json!("draining")));
    for verb in ["resume", "restart"] {
        assert_eq!(hive.post(&format!("/api/v2/agents/{agent}/{verb}"), json!({})).await.0, 200, "{verb}");
    }
    let (_, paused) = hive.post("/api/v2/queues/nightly/pause", json!({})).await;
    assert_eq!((&paused["name"], &paused["paused"]), (&json!("nightly"), &json!(true)));
    let (_, queues) = hive.get("/api/v2/queues").await;
    let names: Vec<_> = queues["items"].as_array().unwrap().iter().map(|queue| &queue["name"]).collect();
    assert_eq!(names, ["default", "nightly"]);
    let (status, system) = hive.get("/api/v2/system").await;
    assert_eq!((status, &system["phase"], &system["agents"]["total"]), (200, &json!("serving"), &json!(1)));
    let (_, actors) = hive.get("/api/v2/system/actors?prefix=hive/writer").await;
    assert_eq!(actors["items"][0]["state"], "running", "{actors}");
    let (_, events) = hive.get("/api/v2/events?limit=1").await;
    assert_eq!((&events["items"][0]["seq"], &events["next_cursor"]), (&json!(1), &json!("1")));
    let removed = hive.ask(Method::DELETE, &format!("/api/v2/agents/{agent}")).send().await.unwrap();
    assert_eq!(removed.status().as_u16(), 204);
    assert_eq!(hive.get(&format!("/api/v2/agents/{agent}")).await.0, 404);
}

#[actix_web::test]
async fn bodies_beyond_the_budget_are_refused_before_they_are_read() {
    let settings = ApiSettings { bodies_in_flight_bytes_max: 1_000, ..ApiSettings::default() };
    let hive = Hive::start(settings).await;
    let (status, problem) =
        hive.post("/api/v2/tasks", json!({"title": "t", "input": "x".repeat(2_000)})).await;
    assert_eq!((status, &problem["code"]), (503, &json!("overloaded")));
    assert_eq!(hive.post("/api/v2/tasks", json!({"title": "t"})).await.0, 201);
}

#[actix_web::test]
async fn a_chunked_body_is_refused_as_soon_as_it_is_too_large() {
    let hive = Hive::start(ApiSettings::default()).await;
    let mut request = format!(
        "POST /api/v2/agents HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    let chunk = "x".repeat(0x10000);
    for _ in 0..9 {
        request.extend_from_slice(format!("10000\r\n{chunk}\r\n").as_bytes());
    }
    let head = raw(hive.addr, request).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "the body has not ended: {head}");
}

#[actix_web::test]
async fn a_body_that_is_declared_too_large_is_refused_unread() {
    let hive = Hive::start(ApiSettings::default()).await;
    let head = format!(
        "POST /api/v2/agents HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 999999999\r\n\r\n"
    );
    assert!(raw(hive.addr, head.into_bytes()).await.starts_with("HTTP/1.1 413 "));
    let head = "HEAD /health/live HTTP/1.1\r\nhost: h\r\n\r\n";
    assert!(raw(hive.addr, head.into()).await.starts_with("HTTP/1.1 200 "));
}

#[actix_web::test]
async fn a_hive_that_drains_is_not_ready_and_takes_no_tasks() {
    let hive = Hive::start(ApiSettings::default()).await;
    hive.runtime.handle.begin_drain();
    let response = hive.ask(Method::GET, "/health/ready").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "2");
    let (status, problem) = read(response).await;
    assert_eq!((status, &problem["code"]), (503, &json!("not_ready")));
    let (status, problem) = hive.post("/api/v2/tasks", json!({"title": "t"})).await;
    assert_eq!((status, &problem["code"]), (503, &json!("not_ready")), "{problem}");
    assert_eq!(hive.get("/api/v2/tasks").await.0, 200, "reads go on");
    assert_eq!(hive.get("/health/live").await.0, 200);
}
