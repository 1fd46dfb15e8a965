//! API keys: made, shown once, used, expired, removed; and what the key of an agent may.

use super::*;

const KEYS: &str = "/api/v2/auth/keys";

#[actix_web::test]
async fn a_key_is_shown_once_opens_at_once_and_its_name_is_on_what_its_holder_makes() {
    let hive = Hive::start(ApiSettings::default()).await;
    let made = hive.ask(Method::POST, KEYS).json(&json!({"name": "ci", "role": "developer"}));
    let made = made.send().await.unwrap();
    assert_eq!(made.headers()["cache-control"], "no-store");
    let (status, made) = read(made).await;
    assert_eq!(status, 201, "{made}");
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("hive_") && key.len() == 57, "{key}");
    assert!(
        key.starts_with(made["prefix"].as_str().unwrap()) && made["prefix"].as_str().unwrap().len() == 11
    );
    let (status, task) = hive.with(&key, Method::POST, "/api/v2/tasks", json!({"title": "t"})).await;
    assert_eq!((status, &task["created_by"]), (201, &json!("ci")));
    let (_, page) = hive.get(KEYS).await;
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("key");
    assert_eq!((&page["items"], &page["total_estimate"]), (&json!([expected]), &json!(1)));
    let hash = Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for path in [KEYS, "/api/v2/events", "/api/v2/system/actors", "/metrics"] {
        let shown = hive.get(path).await.1.to_string();
        assert!(!shown.contains(&key) && !shown.contains(&hash), "{path}: {shown}");
    }
    let (_, events) = hive.get("/api/v2/events").await;
    let event = events["items"].as_array().unwrap().iter().find(|event| event["kind"] == "auth.key_created");
    assert_eq!(event.unwrap()["data"], json!({"id": made["id"], "name": "ci", "role": "developer"}));
}

#[actix_web::test]
async fn a_removed_key_opens_nothing_from_the_moment_of_the_answer_on() {
    let hive = Hive::start(ApiSettings::default()).await;
    for round in 0..50 {
        let (_, made) = hive.post(KEYS, json!({"name": "ci", "role": "viewer"})).await;
        let key = made["key"].as_str().unwrap();
        assert_eq!(hive.with(key, Method::GET, "/api/v2/tasks", json!(null)).await.0, 200, "round {round}");
        let path = format!("{KEYS}/{}", made["id"].as_str().unwrap());
        assert_eq!(hive.ask(Method::DELETE, &path).send().await.unwrap().status().as_u16(), 204);
        let (status, problem) = hive.with(key, Method::GET, "/api/v2/tasks", json!(null)).await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")), "round {round}");
        let (status, problem) = read(hive.ask(Method::DELETE, &path).send().await.unwrap()).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    }
}

#[actix_web::test]
async fn an_expired_key_is_refused_like_one_that_never_was() {
    let clock = Clock::stopped_at(Timestamp::from_micros(1_800_000_000_000_000));
    let hive = Hive::start_at(ApiSettings::default(), clock.clone()).await;
    let key = hive.key_with(json!({"name": "ci", "role": "viewer", "expires_in_s": 60})).await;
    clock.advance_ms(59_999);
    assert_eq!(hive.with(&key, Method::GET, "/api/v2/tasks", json!(null)).await.0, 200);
    clock.advance_ms(1);
    let plain = |mut answer: (u16, Value)| {
        answer.1.as_object_mut().unwrap().remove("correlation_id");
        answer
    };
    let refused = plain(hive.with(&key, Method::GET, "/api/v2/tasks", json!(null)).await);
    assert_eq!(refused.0, 401);
    assert_eq!(refused, plain(hive.with("hive_nobody", Method::GET, "/api/v2/tasks", json!(null)).await));
    let (_, page) = hive.get(KEYS).await;
    assert_eq!(page["items"][0]["expired"], true, "it is still listed: {page}");
    let past = json!({"name": "past", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"});
    let (status, problem) = hive.post(KEYS, past).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("expires_at")));
}

#[actix_web::test]
async fn a_request_that_comes_again_makes_no_second_key_and_cannot_show_the_first() {
    let hive = Hive::start(ApiSettings::default()).await;
    let ask = || {
        hive.ask(Method::POST, KEYS).header("idempotency-key", "k").body(r#"{"name":"ci","role":"viewer"}"#)
    };
    let (_, first) = read(ask().send().await.unwrap()).await;
    let again = ask().send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let (status, again) = read(again).await;
    assert_eq!((status, &again["id"]), (201, &first["id"]));
    assert!(again.get("key").is_none(), "{again}");
    let key = first["key"].as_str().unwrap();
    assert_eq!(
        hive.with(key, Method::GET, "/api/v2/tasks", json!(null)).await.0,
        200,
        "the first still opens"
    );
    let (status, problem) = hive.post(KEYS, json!({"name": "ci", "role": "viewer"})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("unique_conflict")));
    let nobody = json!({"name": "w", "role": "agent", "agent_id": "agent_0000000000001"});
    let (status, problem) = hive.post(KEYS, nobody).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("agent_id")));
}

#[actix_web::test]
async fn keys_are_listed_page_by_page_newest_first() {
    let hive = Hive::start(ApiSettings::default()).await;
    for name in ["a", "b", "c"] {
        hive.key_with(json!({"name": name, "role": "viewer"})).await;
    }
    let (_, first) = hive.get(&format!("{KEYS}?limit=2")).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, rest) = hive.get(&format!("{KEYS}?limit=2&cursor={cursor}")).await;
    let names = |page: &Value| {
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(&first), names(&rest)), (vec!["c".into(), "b".into()], vec!["a".to_owned()]));
    assert_eq!(rest["next_cursor"], Value::Null);
}

/// A hive with two workers, the key of each, and a task that the first one holds.
async fn with_workers() -> (Hive, [String; 2], [String; 2], String) {
    let hive = Hive::start(ApiSettings::default()).await;
    let agents = [hive.worker("ada", 1).await, hive.worker("eve", 1).await];
    let mut keys = Vec::new();
    for (name, agent) in ["ada", "eve"].iter().zip(&agents) {
        keys.push(hive.key_with(json!({"name": name, "role": "agent", "agent_id": agent})).await);
    }
    let (_, task) =
        hive.post("/api/v2/tasks", json!({"title": "t", "agent_id": agents[0], "input": "x"})).await;
    let path = format!("/api/v2/tasks/{}", task["id"].as_str().unwrap());
    let lease = format!("/api/v2/agents/{}/lease", agents[0]);
    let (status, leased) =
        hive.with(&keys[0], Method::POST, &lease, json!({"max": 1, "wait_ms": 5_000})).await;
    assert_eq!((status, leased["assignments"].as_array().unwrap().len()), (200, 1), "{leased}");
    (hive, agents, [keys.remove(0), keys.remove(0)], path)
}

#[actix_web::test]
async fn the_key_of_an_agent_takes_and_reports_its_own_and_nothing_of_others() {
    let (hive, agents, [ada, eve], path) = with_workers().await;
    let lease = format!("/api/v2/agents/{}/lease", agents[0]);
    let reports = [
        ("heartbeat", json!({"attempt": 1, "progress": 0.9})),
        ("output", json!({"attempt": 1, "text": "forged"})),
        ("fail", json!({"attempt": 1, "error": {"kind": "x", "message": "forged"}})),
        ("complete", json!({"attempt": 1, "result": "forged"})),
    ];
    let (status, problem) = hive.with(&eve, Method::POST, &lease, json!({})).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "another's agent: {problem}");
    for (report, body) in &reports {
        let (status, problem) =
            hive.with(&eve, Method::POST, &format!("{path}/{report}"), body.clone()).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{report}: {problem}");
    }
    assert_eq!(hive.with(&eve, Method::GET, &path, json!(null)).await.0, 404);
    let task_id = path.rsplit('/').next().unwrap();
    let many = json!({"items": [{"task_id": task_id, "attempt": 1, "result": "forged"}]});
    let (_, answers) = hive.with(&eve, Method::POST, "/api/v2/leases/complete", many.clone()).await;
    assert_eq!(answers["items"][0]["status"], 404, "{answers}");
    let (_, shown) = hive.get(&path).await;
    assert_eq!(
        (&shown["state"], &shown["progress"]),
        (&json!("working"), &Value::Null),
        "nothing came through"
    );
    let (_, output) = hive.get(&format!("{path}/output")).await;
    assert_eq!(output["items"], json!([]));

    let (status, shown) = hive.with(&ada, Method::GET, &path, json!(null)).await;
    assert_eq!((status, &shown["input"]), (200, &json!("x")), "its holder reads it");
    for (report, body) in &reports[..2] {
        let (status, answer) = hive.with(&ada, Method::POST, &format!("{path}/{report}"), body.clone()).await;
        assert_eq!(status, 200, "{report}: {answer}");
    }
    let (_, answers) = hive.with(&ada, Method::POST, "/api/v2/leases/complete", many).await;
    assert_eq!(
        (&answers["items"][0]["status"], &answers["items"][0]["state"]),
        (&json!(200), &json!("completed"))
    );
    let (status, problem) =
        hive.with(&ada, Method::POST, &format!("{path}/output"), reports[1].1.clone()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("stale_lease")), "it held this one: {problem}");
    assert_eq!(hive.with(&ada, Method::GET, &path, json!(null)).await.0, 404, "it holds it no more");
}

#[actix_web::test]
async fn operators_and_admins_report_on_behalf_of_any_agent() {
    let (hive, _, _, path) = with_workers().await;
    let operator = hive.key("operator").await;
    let beat = json!({"attempt": 1});
    assert_eq!(hive.with(&operator, Method::POST, &format!("{path}/heartbeat"), beat).await.0, 200);
    let done = json!({"attempt": 1, "result": 1});
    assert_eq!(hive.post(&format!("{path}/complete"), done).await.0, 200);
}

#[actix_web::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back_and_hurts_nobody_else() {
    let clock = Clock::stopped_at(Timestamp::from_micros(1_800_000_000_000_000));
    let rate = crate::RateSettings { requests_per_second: 1, burst: 3 };
    let hive = Hive::start_at(ApiSettings { rate, ..ApiSettings::default() }, clock.clone()).await;
    let (one, other) = (hive.key("viewer").await, hive.key("developer").await);
    let ask = async |key: &str, path: &str| {
        let response = hive.ask_as(key, Method::GET, path).send().await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let told = ["ratelimit-policy", "ratelimit", "retry-after"].map(header);
        (response.status().as_u16(), told)
    };
    let policy = || Some(r#""default";q=3;w=3"#.to_owned());
    let limit = |r: u8, t: u8| Some(format!(r#""default";r={r};t={t}"#));
    let tasks = "/api/v2/tasks";
    assert_eq!(ask(&one, tasks).await, (200, [policy(), limit(2, 1), None]));
    assert_eq!(
        ask(&one, "/api/v2/bogus").await,
        (404, [policy(), limit(1, 2), None]),
        "every answer tells it"
    );
    assert_eq!(ask(&one, "/api/v2/auth/keys").await, (403, [policy(), limit(0, 3), None]));
    let (status, problem) = hive.with(&one, Method::GET, tasks, json!(null)).await;
    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")), "{problem}");
    assert_eq!(ask(&one, tasks).await, (429, [policy(), limit(0, 3), Some("1".into())]));
    assert_eq!(ask(&other, tasks).await, (200, [policy(), limit(2, 1), None]), "each key has its own");
    for _ in 0..10 {
        assert_eq!(ask(TOKEN, tasks).await, (200, [None, None, None]), "the admin token is not counted");
    }
    clock.advance_ms(1_000);
    assert_eq!(ask(&one, tasks).await, (200, [policy(), limit(0, 3), None]));
    assert_eq!(ask(&one, tasks).await.0, 429);
}

#[actix_web::test]
async fn a_lease_call_that_waits_and_a_stream_end_with_their_key() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("ada", 1).await;
    let mut ids = Vec::new();
    let mut keys = Vec::new();
    for body in
        [json!({"name": "ada", "role": "agent", "agent_id": agent}), json!({"name": "eye", "role": "viewer"})]
    {
        let (_, made) = hive.post(KEYS, body).await;
        ids.push(format!("{KEYS}/{}", made["id"].as_str().unwrap()));
        keys.push(made["key"].as_str().unwrap().to_owned());
    }
    let (_, waiting) = hive.post("/api/v2/tasks", json!({"title": "t", "delay_ms": 3_600_000})).await;
    let stream = format!("/api/v2/tasks/{}/output?follow=true", waiting["id"].as_str().unwrap());
    let stream = hive.ask_as(&keys[1], Method::GET, &stream).send().await.unwrap();
    assert_eq!(stream.status().as_u16(), 200);
    let lease = format!("/api/v2/agents/{agent}/lease");
    let leasing = hive.with(&keys[0], Method::POST, &lease, json!({"max": 1, "wait_ms": 30_000}));
    let revoking = async {
        while hive.get(&format!("/api/v2/agents/{agent}")).await.1["state"] != "idle" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for id in &ids {
            assert_eq!(hive.ask(Method::DELETE, id).send().await.unwrap().status().as_u16(), 204);
        }
        hive.post("/api/v2/tasks", json!({"title": "not for them", "agent_id": agent})).await.1
    };
    let ((status, refused), task) = tokio::join!(leasing, revoking);
    assert_eq!((status, &refused["code"]), (401, &json!("unauthorized")), "{refused}");
    assert_eq!(stream.text().await.unwrap(), "", "it ends, and tells of no end of the task");
    let path = format!("/api/v2/tasks/{}", task["id"].as_str().unwrap());
    while hive.get(&path).await.1["state"] != "queued" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
