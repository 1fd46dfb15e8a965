//! Tasks over HTTP: submitted, listed, leased in order, retried, timed out, canceled, put back, reported on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Hive, Options, expect};

/// Leases one assignment, waiting for it as long as a call may.
pub(crate) async fn claim(hive: &Hive, agent: &str) -> Result<Value> {
    hive.lease(agent, 1, 30_000).await?.pop().context("nothing came within 30 s")
}

/// POSTs to a task's route and expects `status`.
pub(crate) async fn act(hive: &Hive, task: &str, verb: &str, body: &Value, status: u16) -> Result<Value> {
    hive.post(&format!("/api/v2/tasks/{task}/{verb}"), body, status).await
}

/// The values of one member of each item.
pub(crate) fn each(list: &Value, member: &str) -> Vec<Value> {
    list["items"].as_array().into_iter().flatten().map(|item| item[member].clone()).collect()
}

/// PATCHes and expects 200.
pub(crate) async fn patch(hive: &Hive, path: &str, body: &Value) -> Result<Value> {
    expect(hive.request(Method::PATCH, path).json(body).send().await?, StatusCode::OK).await
}

/// A report of failure.
pub(crate) fn failure(attempt: u64) -> Value {
    json!({"attempt": attempt, "error": {"kind": "boom", "message": format!("number {attempt}")}})
}

/// A task that is tried again at once when it fails.
pub(crate) fn hasty(title: &str, attempts_max: u32) -> Value {
    let backoff = json!({"initial_ms": 1, "factor": 1.0, "max_ms": 1, "jitter": 0.0});
    json!({"title": title, "attempts_max": attempts_max, "backoff": backoff})
}

/// Its attempts, the latest first.
pub(crate) async fn attempts(hive: &Hive, task: &str) -> Result<Value> {
    hive.get(&format!("/api/v2/tasks/{task}/attempts")).await
}

/// An attempt that no longer holds its task is refused whatever it reports.
async fn is_stale(hive: &Hive, task: &str, attempt: u64) -> Result<()> {
    let beat = json!({"attempt": attempt});
    let text = json!({"attempt": attempt, "text": "late"});
    let reports = [("heartbeat", &beat), ("output", &text), ("complete", &beat), ("fail", &failure(attempt))];
    for (verb, body) in reports {
        let problem = act(hive, task, verb, body, 409).await?;
        assert_eq!(problem["code"], "stale_lease", "{verb}: {problem}");
    }
    Ok(())
}

#[tokio::test]
async fn a_submit_is_answered_with_the_task_and_its_place_but_neither_input_nor_result() -> Result<()> {
    let hive = Hive::start().await?;
    let body = json!({"title": "Grüße 🐝", "input": [1]});
    let answer = hive.request(Method::POST, "/api/v2/tasks").json(&body).send().await?;
    let place = answer.headers()["location"].to_str()?.to_owned();
    let task = expect(answer, StatusCode::CREATED).await?;
    assert_eq!(place, format!("/api/v2/tasks/{}", task["id"].as_str().context("an id")?));
    assert!(task.get("input").is_none() && task.get("result").is_none(), "{task}");
    let mut shown = hive.get(&place).await?;
    assert_eq!(shown["input"], json!([1]));
    assert!(shown.get("result").is_none(), "there is none yet: {shown}");
    shown.as_object_mut().context("an object")?.remove("input");
    assert_eq!(shown, task, "what was answered is what is shown");
    let usual = json!(["Grüße 🐝", "default", 5, "queued", 0, 0, 3, "default", "admin", null]);
    let names = ["title", "queue", "priority", "state", "attempt", "failures", "attempts_max", "tenant"];
    let told: Vec<_> =
        names.iter().chain(&["created_by", "agent_id"]).map(|name| shown[*name].clone()).collect();
    assert_eq!(json!(told), usual);
    let bare = hive.submit(&json!({"title": "bare"})).await?;
    let bare = hive.get(&format!("/api/v2/tasks/{bare}")).await?;
    assert_eq!(bare.get("input"), Some(&Value::Null), "none is shown as null");
    Ok(())
}

#[tokio::test]
async fn input_and_result_are_kept_byte_for_byte() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("scribe", &[], 1).await?;
    let odd = concat!(
        "{ \"b\" : 1.0,\n\t\"a\":[ 123456789012345678901234567890.10, 1e400, -0.0 , 1E+2],",
        "\"b\":2 , \"\\u00e4\\/\":\"ä😀\\ud83d\\ude00 \\n\",\r\n \"deep\":[[[ ]]],\"\":null }"
    );
    let send = async |path: String, body: String| -> Result<String> {
        let request = hive.request(Method::POST, &path).header("content-type", "application/json");
        Ok(request.body(body).send().await?.error_for_status()?.text().await?)
    };
    let submitted = send("/api/v2/tasks".into(), format!("{{\"title\":\"t\",\"input\": {odd} }}")).await?;
    let id = serde_json::from_str::<Value>(&submitted)?["id"].as_str().context("an id")?.to_owned();
    let leased = send(format!("/api/v2/agents/{agent}/lease"), r#"{"wait_ms":30000}"#.into()).await?;
    assert!(leased.contains(&format!("\"input\":{odd},")), "the assignment: {leased}");
    send(format!("/api/v2/tasks/{id}/complete"), format!("{{\"attempt\":1,\"result\":{odd}}}")).await?;
    let shown = hive.request(Method::GET, &format!("/api/v2/tasks/{id}")).send().await?.text().await?;
    assert!(shown.contains(&format!("\"input\":{odd},")), "the input: {shown}");
    assert!(shown.contains(&format!("\"result\":{odd},")), "the result: {shown}");
    Ok(())
}

#[tokio::test]
async fn a_list_is_newest_first_and_its_pages_stay_the_same_while_tasks_are_added() -> Result<()> {
    let hive = Hive::start().await?;
    let mut expected = Vec::new();
    for number in 0..8 {
        expected.insert(0, hive.submit(&json!({"title": format!("{number}")})).await?);
    }
    let (mut found, mut query) = (Vec::new(), "limit=3".to_owned());
    loop {
        let page = hive.get(&format!("/api/v2/tasks?{query}")).await?;
        found.extend(each(&page, "id"));
        hive.submit(&json!({"title": "meanwhile"})).await?;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        ensure!(found.len() <= expected.len(), "the pages have no end: {found:?}");
        query = format!("limit=3&cursor={cursor}");
    }
    assert_eq!(json!(found), json!(expected), "none twice, none missing, none of the new ones");
    let all = hive.get("/api/v2/tasks").await?;
    assert_eq!((each(&all, "id").len(), &all["next_cursor"]), (11, &Value::Null));
    hive.until("/api/v2/tasks?limit=1", |page| page["total_estimate"] == 11).await?;
    Ok(())
}

#[tokio::test]
async fn a_list_shows_what_its_filters_name_and_nothing_else() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("reader", &[], 1).await?;
    let one = json!({"title": "1", "queue": "red", "kind": "mail", "labels": {"team": "a", "env": "x"}});
    let two = json!({"title": "2", "queue": "red", "kind": "chat", "labels": {"team": "a", "env": "y=z"}});
    let mut ids = vec![hive.submit(&one).await?, hive.submit(&two).await?];
    ids.push(hive.submit(&json!({"title": "3", "delay_ms": 3_600_000})).await?);
    assert_eq!(claim(&hive, &agent).await?["task_id"], ids[0].as_str());
    let born = hive.get(&format!("/api/v2/tasks/{}", ids[1])).await?["created_at"].clone();
    let born = born.as_str().context("a time")?;
    let (after, before) = (format!("created_after={born}"), format!("created_before={born}"));
    let held = format!("agent_id={agent}");
    let table: &[(&str, &[usize])] = &[
        ("queue=red", &[1, 0]),
        ("queue=red&state=working", &[0]),
        ("state=scheduled", &[2]),
        ("state=completed", &[]),
        ("kind=chat", &[1]),
        ("label=team=a", &[1, 0]),
        ("label=team:a&label=env=x", &[0]),
        ("label=env%3Dy%3Dz", &[1]),
        ("label=team=b", &[]),
        (&held, &[0]),
        (&after, &[2]),
        (&before, &[0]),
        ("queue=nowhere", &[]),
    ];
    for (query, expected) in table {
        let page = hive.get(&format!("/api/v2/tasks?{query}")).await?;
        let expected: Vec<_> = expected.iter().map(|place| ids[*place].clone()).collect();
        assert_eq!(json!(each(&page, "id")), json!(expected), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn the_highest_priority_goes_first_and_among_equals_the_oldest() -> Result<()> {
    let hive = Hive::start().await?;
    let mut ids = Vec::new();
    for priority in [1, 9, 5, 9, 0, 5] {
        ids.push(hive.submit(&json!({"title": "t", "priority": priority})).await?);
    }
    let agent = hive.agent("taker", &[], 10).await?;
    for expected in [1, 3, 2, 5, 0, 4] {
        assert_eq!(claim(&hive, &agent).await?["task_id"], ids[expected].as_str());
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_priority_moves_a_waiting_task_forward_and_labels_are_replaced_as_a_whole() -> Result<()> {
    let hive = Hive::start().await?;
    let first = hive.submit(&json!({"title": "first"})).await?;
    let second = hive.submit(&json!({"title": "second", "labels": {"a": "1", "b": "2"}})).await?;
    let path = format!("/api/v2/tasks/{second}");
    let patched = patch(&hive, &path, &json!({"priority": 8, "labels": {"c": "3"}})).await?;
    assert_eq!((&patched["priority"], &patched["labels"]), (&json!(8), &json!({"c": "3"})));
    assert_eq!(patch(&hive, &path, &json!({})).await?["labels"], json!({"c": "3"}), "what is missing stays");
    let by_priority = |queue: &Value| queue["queued_by_priority"] == json!([0, 0, 0, 0, 0, 1, 0, 0, 1, 0]);
    hive.until("/api/v2/queues/default", by_priority).await?;
    let agent = hive.agent("taker", &[], 10).await?;
    let assignment = claim(&hive, &agent).await?;
    assert_eq!((&assignment["task_id"], &assignment["labels"]), (&json!(second), &json!({"c": "3"})));
    assert_eq!(claim(&hive, &agent).await?["task_id"], first.as_str());
    act(&hive, &second, "complete", &json!({"attempt": 1}), 200).await?;
    let late = hive.request(Method::PATCH, &path).json(&json!({"priority": 1})).send().await?;
    assert_eq!(expect(late, StatusCode::CONFLICT).await?["code"], "state_conflict");
    Ok(())
}

#[tokio::test]
async fn a_delayed_task_is_handed_out_when_its_moment_has_come_and_not_before() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("waiter", &[], 5).await?;
    let far = json!({"title": "far", "eligible_at": "2999-01-31T13:00:00+01:00"});
    let far = hive.post("/api/v2/tasks", &far, 201).await?;
    assert_eq!(
        (&far["state"], &far["eligible_at"]),
        (&json!("scheduled"), &json!("2999-01-31T12:00:00.000000Z"))
    );
    let past = json!({"title": "past", "eligible_at": "2001-01-31T12:00:00Z"});
    let past = hive.post("/api/v2/tasks", &past, 201).await?;
    assert_eq!((&past["state"], &past["eligible_at"]), (&json!("queued"), &Value::Null), "at once");
    assert_eq!(claim(&hive, &agent).await?["title"], "past");
    let soon = hive.post("/api/v2/tasks", &json!({"title": "soon", "delay_ms": 300}), 201).await?;
    assert_eq!(soon["state"], "scheduled");
    let due = soon["eligible_at"].as_str().context("a moment")?.to_owned();
    assert_eq!(claim(&hive, &agent).await?["title"], "soon");
    let shown = hive.get(&format!("/api/v2/tasks/{}", soon["id"].as_str().context("an id")?)).await?;
    assert!(shown["started_at"].as_str() >= Some(due.as_str()), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_task_that_fails_too_often_is_a_dead_letter_with_all_its_attempts() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("clumsy", &[], 1).await?;
    let backoff = json!({"initial_ms": 150, "factor": 2.0, "max_ms": 1000, "jitter": 0.0});
    let id = hive.submit(&json!({"title": "t", "attempts_max": 2, "backoff": backoff})).await?;
    claim(&hive, &agent).await?;
    let mut report = failure(1);
    report["usage"] = json!({"input_tokens": 7, "cost_usd": 0.5});
    assert_eq!(act(&hive, &id, "fail", &report, 200).await?["state"], "scheduled");
    let shown = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!((&shown["failures"], &shown["usage"]), (&json!(1), &report["usage"]));
    assert_eq!(shown["error"], report["error"]);
    assert_eq!(claim(&hive, &agent).await?["attempt"], 2);
    assert_eq!(act(&hive, &id, "fail", &failure(2), 200).await?["state"], "failed");
    let tried = attempts(&hive, &id).await?;
    assert_eq!(each(&tried, "attempt"), [2, 1], "the latest first");
    assert_eq!(each(&tried, "outcome"), ["failed", "failed"]);
    assert_eq!(each(&tried, "error"), [failure(2)["error"].clone(), failure(1)["error"].clone()]);
    assert_eq!(each(&tried, "usage"), [Value::Null, report["usage"].clone()]);
    let again = tried["items"][0]["started_at"].as_str();
    assert!(again >= shown["eligible_at"].as_str() && again.is_some(), "it waited for its backoff: {tried}");
    assert_eq!(each(&hive.get("/api/v2/dead-letters").await?, "id"), [id.as_str()]);
    let done = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert!(done["finished_at"].is_string() && done["failures"] == 2, "{done}");
    Ok(())
}

#[tokio::test]
async fn a_failure_that_is_not_worth_a_retry_makes_a_dead_letter_at_once() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("resigned", &[], 1).await?;
    let id = hive.submit(&hasty("hopeless", 100)).await?;
    claim(&hive, &agent).await?;
    let mut report = failure(1);
    report["retryable"] = json!(false);
    assert_eq!(act(&hive, &id, "fail", &report, 200).await?["state"], "failed");
    assert_eq!(act(&hive, &id, "fail", &report, 200).await?["state"], "failed", "a repeat answers the same");
    assert_eq!(each(&attempts(&hive, &id).await?, "attempt"), [1]);
    Ok(())
}

#[tokio::test]
async fn a_task_that_waits_beyond_its_timeouts_fails_without_an_attempt() -> Result<()> {
    let hive = Hive::start().await?;
    for (name, kind) in
        [("schedule_to_start_ms", "schedule_to_start"), ("schedule_to_close_ms", "schedule_to_close")]
    {
        let id = hive.submit(&json!({"title": name, "timeouts": {name: 200}})).await?;
        let dead = hive.task_when(&id, |task| task["state"] == "failed").await?;
        assert_eq!(dead["error"]["kind"], format!("{kind}_timeout"), "{dead}");
        assert_eq!((&dead["attempt"], &dead["failures"]), (&json!(0), &json!(0)));
        assert_eq!(attempts(&hive, &id).await?["items"], json!([]));
    }
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_times_out_however_often_its_holder_gives_a_heartbeat() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("slow", &[], 5).await?;
    let table = [
        ("start_to_close_ms", 700, "start_to_close_timeout", "scheduled"),
        ("schedule_to_close_ms", 700, "schedule_to_close_timeout", "failed"),
        ("heartbeat_ms", 1_000, "heartbeat_timeout", "scheduled"),
    ];
    let mut ids = Vec::new();
    for (name, ms, ..) in table {
        let backoff = json!({"initial_ms": 3_600_000, "max_ms": 3_600_000});
        ids.push(hive.submit(&json!({"title": name, "timeouts": {name: ms}, "backoff": backoff})).await?);
        assert_eq!(claim(&hive, &agent).await?["title"], name);
    }
    let runs = table.into_iter().zip(&ids).map(|((name, _, kind, state), id)| {
        let hive = &hive;
        async move {
            let path = format!("/api/v2/tasks/{id}/heartbeat");
            loop {
                if name == "heartbeat_ms" {
                    break;
                }
                let request = hive.request(Method::POST, &path).json(&json!({"attempt": 1}));
                if request.send().await?.status() == StatusCode::CONFLICT {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let over = hive.task_when(id, |task| task["state"] == state).await?;
            let tried = attempts(hive, id).await?;
            assert_eq!(each(&tried, "outcome"), ["timed_out"], "{name}");
            assert_eq!(
                (&over["error"]["kind"], &tried["items"][0]["error"]["kind"]),
                (&json!(kind), &json!(kind))
            );
            is_stale(hive, id, 1).await
        }
    });
    try_join_all(runs).await?;
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_keeps_a_lease_and_without_one_the_task_goes_to_another() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__TTL_MS", 1_000)).await?;
    let (one, other) = (hive.agent("one", &[], 1).await?, hive.agent("other", &[], 1).await?);
    let id = hive.submit(&hasty("contested", 5)).await?;
    let first = claim(&hive, &one).await?["lease_expires_at"].clone();
    let mut expires = first.clone();
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let beat = act(&hive, &id, "heartbeat", &json!({"attempt": 1}), 200).await?;
        ensure!(beat["lease_expires_at"].as_str() >= expires.as_str(), "it never gets shorter: {beat}");
        expires = beat["lease_expires_at"].clone();
    }
    assert!(expires.as_str() > first.as_str(), "it was renewed");
    let held = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!((&held["lease_expires_at"], &held["attempt"]), (&expires, &json!(1)), "as it is stored");
    let taken = claim(&hive, &other).await?;
    assert_eq!((&taken["task_id"], &taken["attempt"]), (&json!(id), &json!(2)));
    is_stale(&hive, &id, 1).await?;
    act(&hive, &id, "complete", &json!({"attempt": 2, "result": "second"}), 200).await?;
    is_stale(&hive, &id, 1).await?;
    let tried = attempts(&hive, &id).await?;
    assert_eq!(each(&tried, "outcome"), ["succeeded", "lease_lost"]);
    assert_eq!(each(&tried, "agent_id"), [other, one]);
    let done = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!((&done["state"], &done["result"]), (&json!("completed"), &json!("second")));
    Ok(())
}

#[tokio::test]
async fn a_waiting_task_is_canceled_at_once_and_nobody_gets_it() -> Result<()> {
    let hive = Hive::start().await?;
    let queued = hive.submit(&json!({"title": "queued"})).await?;
    let delayed = hive.submit(&json!({"title": "delayed", "delay_ms": 100})).await?;
    for id in [&queued, &delayed] {
        for _ in 0..2 {
            let canceled = act(&hive, id, "cancel", &json!({}), 200).await?;
            assert_eq!(canceled["state"], "canceled");
            assert!(
                canceled["finished_at"].is_string() && canceled["cancel_requested"] == true,
                "{canceled}"
            );
        }
    }
    let agent = hive.agent("late", &[], 5).await?;
    assert_eq!(hive.lease(&agent, 5, 400).await?, Vec::<Value>::new());
    let third = hive.submit(&json!({"title": "third"})).await?;
    claim(&hive, &agent).await?;
    act(&hive, &third, "complete", &json!({"attempt": 1}), 200).await?;
    assert_eq!(act(&hive, &third, "cancel", &json!({}), 409).await?["code"], "state_conflict");
    Ok(())
}

#[tokio::test]
async fn the_holder_of_a_canceled_task_is_told_so_and_its_own_end_counts() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("holder", &[], 5).await?;
    for (verb, body, state, outcome) in [
        ("complete", json!({"attempt": 1, "result": 7}), "completed", "succeeded"),
        ("fail", failure(1), "canceled", "canceled"),
    ] {
        let id = hive.submit(&hasty(verb, 5)).await?;
        claim(&hive, &agent).await?;
        let beat = json!({"attempt": 1});
        assert_eq!(act(&hive, &id, "heartbeat", &beat, 200).await?["cancel_requested"], false);
        let asked = act(&hive, &id, "cancel", &json!({"force": false}), 200).await?;
        assert_eq!((&asked["state"], &asked["cancel_requested"]), (&json!("working"), &json!(true)));
        // The next heartbeats tell it, once the request has reached the attempt.
        let began = std::time::Instant::now();
        while act(&hive, &id, "heartbeat", &beat, 200).await?["cancel_requested"] == false {
            ensure!(began.elapsed() < tests::PATIENCE, "the holder is never told");
        }
        assert_eq!(act(&hive, &id, verb, &body, 200).await?["state"], state);
        assert_eq!(each(&attempts(&hive, &id).await?, "outcome"), [outcome]);
    }
    Ok(())
}

#[tokio::test]
async fn a_holder_that_does_not_end_is_ended_after_the_grace_or_at_once_by_force() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__CANCEL_GRACE_MS", 300)).await?;
    let agent = hive.agent("stubborn", &[], 5).await?;
    for (is_forced, kind) in [(false, "cancel_grace_over"), (true, "killed")] {
        let id = hive.submit(&json!({"title": kind})).await?;
        claim(&hive, &agent).await?;
        let asked = act(&hive, &id, "cancel", &json!({"force": is_forced}), 200).await?;
        assert_eq!(asked["state"], if is_forced { "canceled" } else { "working" });
        let over = hive.task_when(&id, |task| task["state"] == "canceled").await?;
        assert_eq!((&over["error"]["kind"], &over["attempt"]), (&json!(kind), &json!(1)));
        is_stale(&hive, &id, 1).await?;
        assert_eq!(each(&attempts(&hive, &id).await?, "outcome"), ["canceled"]);
    }
    Ok(())
}

/// Submits a task and fails it for good.
async fn dead_letter(hive: &Hive, agent: &str) -> Result<String> {
    let id = hive.submit(&hasty("dead", 1)).await?;
    claim(hive, agent).await?;
    assert_eq!(act(hive, &id, "fail", &failure(1), 200).await?["state"], "failed");
    Ok(id)
}

#[tokio::test]
async fn a_dead_letter_is_put_back_with_all_its_tries_and_only_a_dead_letter_is() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("patient", &[], 1).await?;
    let id = dead_letter(&hive, &agent).await?;
    let back = act(&hive, &id, "retry", &json!({}), 200).await?;
    assert_eq!(
        (&back["state"], &back["failures"], &back["attempt"]),
        (&json!("queued"), &json!(0), &json!(1))
    );
    assert_eq!((&back["finished_at"], &back["cancel_requested"]), (&Value::Null, &json!(false)));
    assert_eq!(act(&hive, &id, "retry", &json!({}), 409).await?["code"], "state_conflict");
    assert_eq!(claim(&hive, &agent).await?["attempt"], 2, "the count goes on");
    act(&hive, &id, "complete", &json!({"attempt": 2}), 200).await?;
    let (one, two) = (dead_letter(&hive, &agent).await?, dead_letter(&hive, &agent).await?);
    assert_eq!(each(&hive.get("/api/v2/dead-letters").await?, "id"), [two.as_str(), one.as_str()]);
    let asked = json!({"task_ids": [one, id, "task_0000000000000", "nonsense", two]});
    let answer = hive.post("/api/v2/dead-letters/redrive", &asked, 200).await?;
    assert_eq!(each(&answer, "status"), [200, 409, 404, 404, 200]);
    assert_eq!(json!(each(&answer, "task_id")), asked["task_ids"]);
    assert_eq!(answer["items"][0]["task"]["state"], "queued");
    assert_eq!(answer["items"][1]["problem"]["code"], "state_conflict");
    assert_eq!(each(&hive.get("/api/v2/dead-letters").await?, "id"), Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn the_events_of_a_task_tell_its_life_in_order_and_of_no_other() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("lively", &[], 1).await?;
    let id = hive.submit(&hasty("told", 2)).await?;
    hive.submit(&json!({"title": "other", "queue": "other", "delay_ms": 3_600_000})).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "fail", &failure(1), 200).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "fail", &failure(2), 200).await?;
    act(&hive, &id, "retry", &json!({}), 200).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "cancel", &json!({}), 200).await?;
    act(&hive, &id, "complete", &json!({"attempt": 3}), 200).await?;
    let path = format!("/api/v2/tasks/{id}/events");
    let all = hive.get(&path).await?;
    let told: Vec<_> = each(&all, "kind").into_iter().zip(each(&all, "attempt")).collect();
    let expected = [
        ("task.submitted", json!(null)),
        ("task.started", json!(1)),
        ("task.retrying", json!(1)),
        ("task.queued", json!(null)),
        ("task.started", json!(2)),
        ("task.failed", json!(2)),
        ("task.redriven", json!(null)),
        ("task.started", json!(3)),
        ("task.cancel_requested", json!(3)),
        ("task.completed", json!(3)),
    ];
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.clone()).collect();
    assert_eq!(kinds, expected.clone().map(|(kind, _)| json!(kind)), "{told:?}");
    for ((kind, there), (_, wanted)) in told.iter().zip(&expected) {
        assert!(wanted.is_null() || there == wanted, "{kind} is of attempt {there}");
    }
    let seqs: Vec<_> = each(&all, "seq").iter().filter_map(Value::as_i64).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    let page = hive.get(&format!("{path}?limit=4")).await?;
    let cursor = page["next_cursor"].as_str().context("more")?;
    let rest = hive.get(&format!("{path}?cursor={cursor}")).await?;
    assert_eq!([each(&page, "seq"), each(&rest, "seq")].concat(), each(&all, "seq"));
    Ok(())
}
