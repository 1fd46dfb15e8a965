//! Unique keys, and many tasks at a time.

use super::*;

fn keyed(key: &str, more: &Value) -> Value {
    let mut unique = json!({"key": key});
    unique.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"title": "t", "unique": unique})
}

#[actix_web::test]
async fn a_unique_key_answers_with_the_task_that_has_it_or_refuses() {
    let hive = Hive::start(ApiSettings::default()).await;
    let (status, first) = hive.post("/api/v2/tasks", keyed("k", &json!({}))).await;
    assert_eq!(status, 201, "{first}");
    let again = hive.ask(Method::POST, "/api/v2/tasks").json(&keyed("k", &json!({}))).send().await.unwrap();
    let location = again.headers()["location"].to_str().unwrap().to_owned();
    assert!(!again.headers().contains_key("idempotent-replayed"));
    let (status, existing) = read(again).await;
    assert_eq!((status, &existing["id"]), (200, &first["id"]));
    assert!(location.ends_with(first["id"].as_str().unwrap()));
    let (status, problem) = hive.post("/api/v2/tasks", keyed("k", &json!({"on_conflict": "reject"}))).await;
    assert_eq!((status, &problem["code"]), (409, &json!("unique_conflict")));
    assert!(problem["detail"].as_str().unwrap().contains(first["id"].as_str().unwrap()), "{problem}");
    let path = format!("/api/v2/tasks/{}/cancel", first["id"].as_str().unwrap());
    assert_eq!(hive.post(&path, json!({})).await.0, 200);
    let (status, second) = hive.post("/api/v2/tasks", keyed("k", &json!({"until": "forever"}))).await;
    assert_eq!(status, 201, "its task has ended: {second}");
}

#[actix_web::test]
async fn submits_with_one_key_at_the_same_time_make_one_task() {
    let hive = Hive::start(ApiSettings::default()).await;
    for round in 0..10 {
        let body = keyed(&format!("k{round}"), &json!({"ttl_ms": 60_000}));
        let submits = (0..20).map(|_| hive.post("/api/v2/tasks", body.clone()));
        let answers = futures_util::future::join_all(submits).await;
        let id = &answers[0].1["id"];
        assert!(answers.iter().all(|(_, task)| task["id"] == *id));
        assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1);
    }
}

#[actix_web::test]
async fn every_broken_rule_of_a_unique_key_is_named() {
    let hive = Hive::start(ApiSettings::default()).await;
    for (more, field) in [
        (json!({"key": ""}), "unique.key"),
        (json!({"on_conflict": "replace"}), "unique.on_conflict"),
        (json!({"until": "tomorrow"}), "unique.until"),
        (json!({"until": "terminal", "ttl_ms": 1}), "unique.ttl_ms"),
        (json!({"ttl_ms": 0}), "unique.ttl_ms"),
        (json!({"scope": "queue"}), "unique.scope"),
    ] {
        let (status, problem) = hive.post("/api/v2/tasks", keyed("k", &more)).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
}

#[actix_web::test]
async fn a_dead_letter_whose_key_another_task_has_is_not_put_back() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    let mut body = keyed("k", &json!({}));
    body["attempts_max"] = json!(1);
    let (_, first) = hive.post("/api/v2/tasks", body).await;
    let path = format!("/api/v2/tasks/{}", first["id"].as_str().unwrap());
    hive.post(&format!("/api/v2/agents/{agent}/lease"), json!({"max": 1, "wait_ms": 5_000})).await;
    let failed = json!({"attempt": 1, "error": {"kind": "broken", "message": "it broke"}});
    assert_eq!(hive.post(&format!("{path}/fail"), failed).await.0, 200);
    let (status, second) = hive.post("/api/v2/tasks", keyed("k", &json!({}))).await;
    assert_eq!(status, 201, "{second}");
    let (status, problem) = hive.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("unique_conflict")), "{problem}");
    assert_eq!(hive.get(&path).await.1["state"], "failed");
}

#[actix_web::test]
async fn many_tasks_get_an_answer_each_and_a_repeat_makes_none_twice() {
    let hive = Hive::start(ApiSettings::default()).await;
    let tasks = json!({"tasks": [
        {"title": "one", "input": {"b": 1.0}},
        {"title": ""},
        {"title": "three", "agent_id": "agent_0000000000001"},
        keyed("k", &json!({})),
        keyed("k", &json!({})),
        keyed("k", &json!({"on_conflict": "reject"})),
    ]});
    let submit = || async {
        let request = hive.ask(Method::POST, "/api/v2/tasks/bulk").json(&tasks);
        let response = request.header("idempotency-key", "b1").send().await.unwrap();
        let is_replayed = response.headers().contains_key("idempotent-replayed");
        let (status, answer) = read(response).await;
        assert_eq!(status, 200, "{answer}");
        (answer["items"].as_array().unwrap().clone(), is_replayed)
    };
    let (items, is_replayed) = submit().await;
    let statuses: Vec<_> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!((statuses, is_replayed), (vec![201, 422, 422, 201, 200, 409], false));
    assert_eq!(items[1]["problem"]["errors"][0]["field"], "title");
    assert_eq!(items[2]["problem"]["errors"][0]["field"], "agent_id");
    assert_eq!(items[4]["task"]["id"], items[3]["task"]["id"]);
    assert!(items[0]["task"].get("input").is_none());
    let (again, is_replayed) = submit().await;
    for place in [0, 3, 4] {
        assert_eq!(again[place]["task"]["id"], items[place]["task"]["id"]);
    }
    assert!(is_replayed);
    let (_, all) = hive.get("/api/v2/tasks").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_bulk_has_from_1_to_1000_tasks_and_they_share_a_commit() {
    let hive = Hive::start(ApiSettings::default()).await;
    let many = |count: usize| json!({"tasks": vec![json!({"title": "t"}); count]});
    for count in [0, 1_001] {
        let (status, problem) = hive.post("/api/v2/tasks/bulk", many(count)).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("tasks")), "{problem}");
    }
    let (status, answer) = hive.post("/api/v2/tasks/bulk", many(1_000)).await;
    assert_eq!(status, 200);
    let items = answer["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["status"] == 201));
    // The writer gives all of one commit the same time.
    let times: std::collections::BTreeSet<_> =
        items.iter().map(|item| item["task"]["created_at"].as_str().unwrap()).collect();
    assert_eq!((items.len(), times.len()), (1_000, 1));
    let ids: Vec<_> = items.iter().map(|item| item["task"]["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted(), "in the order of the request");
}
