//! Queues with a limit: never more at a time than it says, whatever is asked of the hive meanwhile. And full ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Hive, Options, expect};

use crate::api_errors::{refused, send};
use crate::api_tasks::{act, each};

const QUEUE: &str = "/api/v2/queues/narrow";

async fn limit(hive: &Hive, limit: Value) -> Result<Value> {
    let request = hive.request(Method::PUT, QUEUE).json(&json!({"concurrency_limit": limit}));
    expect(request.send().await?, StatusCode::OK).await
}

fn narrow(number: u32) -> Value {
    json!({"title": format!("narrow {number}"), "queue": "narrow"})
}

async fn complete(hive: &Hive, assignment: &Value) -> Result<()> {
    let id = assignment["task_id"].as_str().context("an id")?;
    act(hive, id, "complete", &json!({"attempt": assignment["attempt"]}), 200).await.map(drop)
}

#[tokio::test]
async fn a_limit_holds_between_agents_and_gives_way_as_tasks_end() -> Result<()> {
    let hive = Hive::start().await?;
    assert_eq!(limit(&hive, json!(2)).await?["concurrency_limit"], 2);
    let (one, two) = (hive.agent("one", &[], 8).await?, hive.agent("two", &[], 8).await?);
    for number in 0..6 {
        hive.submit(&narrow(number)).await?;
    }
    hive.submit(&json!({"title": "elsewhere"})).await?;
    let mut held = hive.lease(&one, 8, 1_000).await?;
    held.extend(hive.lease(&two, 8, 200).await?);
    let queues: Vec<_> = held.iter().map(|assignment| assignment["queue"].clone()).collect();
    assert_eq!(queues.iter().filter(|queue| **queue == "narrow").count(), 2, "{queues:?}");
    assert!(queues.contains(&json!("default")), "a queue at its limit holds no other up");
    assert_eq!(hive.get(QUEUE).await?["tasks"]["working"], 2);

    held.retain(|assignment| assignment["queue"] == "narrow");
    complete(&hive, &held[0]).await?;
    assert_eq!(hive.lease(&two, 8, 5_000).await?.len(), 1, "one ended, one begins");
    assert_eq!(hive.lease(&one, 8, 200).await?.len(), 0);
    assert_eq!(limit(&hive, json!(1)).await?["tasks"]["working"], 2, "a lower limit ends nothing");
    assert_eq!(limit(&hive, Value::Null).await?["concurrency_limit"], Value::Null);
    assert_eq!(hive.lease(&one, 8, 5_000).await?.len(), 3, "without a limit the rest begins");
    Ok(())
}

#[tokio::test]
async fn a_limit_holds_for_tasks_that_begin_at_their_submit_and_over_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    limit(&hive, json!(3)).await?;
    let agent = hive.agent("eager", &[], 100).await?;
    // The agent asks all the time, so that submits find it hungry and their lane empty.
    let held = {
        let asking = async {
            let mut held = Vec::new();
            while held.len() < 3 {
                held.extend(hive.lease(&agent, 100, 5_000).await?);
            }
            held.extend(hive.lease(&agent, 100, 500).await?);
            anyhow::Ok(held)
        };
        let submits = try_join_all((0..20).map(|number| {
            let hive = &hive;
            async move { hive.submit(&narrow(number)).await }
        }));
        let (held, submitted) = tokio::join!(asking, submits);
        assert_eq!(submitted?.len(), 20);
        held?
    };
    assert_eq!(held.len(), 3);

    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    assert_eq!(hive.get(QUEUE).await?["concurrency_limit"], 3, "it survives a kill");
    assert_eq!(hive.lease(&agent, 100, 500).await?.len(), 0, "what is held is still counted");
    complete(&hive, &held[0]).await?;
    assert_eq!(hive.lease(&agent, 100, 5_000).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_limit_is_never_passed_by_a_crowd_of_agents_that_work_a_backlog() -> Result<()> {
    let hive = Hive::start().await?;
    limit(&hive, json!(4)).await?;
    for first in (0..300).step_by(100) {
        let tasks: Vec<_> = (first..first + 100).map(narrow).collect();
        hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
    }
    let mut agents = Vec::new();
    for number in 0..6 {
        agents.push(hive.agent(&format!("agent-{number}"), &[], 3).await?);
    }
    let held = AtomicUsize::new(0);
    let worked = try_join_all(agents.iter().map(|agent| async {
        let mut worked = 0;
        loop {
            let assignments = hive.lease(agent, 3, 300).await?;
            if assignments.is_empty() && hive.get(QUEUE).await?["tasks"]["queued"] == 0 {
                return anyhow::Ok(worked);
            }
            let now = held.fetch_add(assignments.len(), Ordering::SeqCst) + assignments.len();
            anyhow::ensure!(now <= 4, "{now} are held at once");
            for assignment in &assignments {
                // Counted out before the report: the next one may begin as soon as that is stored.
                held.fetch_sub(1, Ordering::SeqCst);
                complete(&hive, assignment).await?;
                worked += 1;
            }
        }
    }))
    .await?;
    assert_eq!(worked.iter().sum::<usize>(), 300);
    Ok(())
}

#[tokio::test]
async fn a_limit_is_told_in_the_log_once_and_refused_when_it_is_none() -> Result<()> {
    let hive = Hive::start().await?;
    for same in [json!(5), json!(5), Value::Null, Value::Null] {
        limit(&hive, same).await?;
    }
    let events = hive.get("/api/v2/events").await?;
    let data: Vec<_> = events["items"].as_array().into_iter().flatten().collect();
    let told: Vec<_> = data
        .iter()
        .filter(|event| event["kind"] == "queue.updated")
        .map(|event| event["data"].clone())
        .collect();
    let queue = |limit: Value| json!({"queue": "narrow", "concurrency_limit": limit});
    assert_eq!(told, [queue(json!(5)), queue(Value::Null)]);
    for broken in [json!({}), json!({"concurrency_limit": 0}), json!({"concurrency_limit": 100_001})] {
        let answer = hive.request(Method::PUT, QUEUE).json(&broken).send().await?;
        let problem = expect(answer, StatusCode::UNPROCESSABLE_ENTITY).await?;
        assert_eq!(each(&json!({"items": problem["errors"]}), "field"), ["concurrency_limit"], "{broken}");
    }
    Ok(())
}

/// A dead letter of a queue and a kind.
async fn dead(hive: &Hive, agent: &str, queue: &str, kind: &str) -> Result<String> {
    let asked =
        json!({"title": "dead", "queue": queue, "kind": kind, "attempts_max": 1, "labels": {"k": kind}});
    let id = hive.submit(&asked).await?;
    hive.lease(agent, 1, 30_000).await?.pop().context("nothing came")?;
    act(hive, &id, "fail", &json!({"attempt": 1, "error": {"kind": "e", "message": "m"}}), 200).await?;
    Ok(id)
}

async fn redrive(hive: &Hive, asked: &Value) -> Result<Value> {
    hive.post("/api/v2/dead-letters/redrive", asked, 200).await
}

#[tokio::test]
async fn dead_letters_are_put_back_by_filter_page_by_page_until_none_is_left() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("gravedigger", &[], 1).await?;
    let mut ids = Vec::new();
    for number in 0..7 {
        let queue = if number < 5 { "a" } else { "b" };
        ids.push(dead(&hive, &agent, queue, if number % 2 == 0 { "even" } else { "odd" }).await?);
    }
    hive.post("/api/v2/agents", &json!({"name": "idle", "capacity": 1}), 201).await?;
    hive.post(&format!("/api/v2/agents/{agent}/drain"), &json!({}), 200).await?;
    let even_in_a = json!({"filter": {"queue": "a", "kind": "even", "labels": {"k": "even"}}});
    let answer = redrive(&hive, &even_in_a).await?;
    assert_eq!(each(&answer, "task_id"), [ids[4].as_str(), &ids[2], &ids[0]], "newest first");
    assert_eq!((each(&answer, "status"), &answer["next_cursor"]), (vec![json!(200); 3], &Value::Null));
    assert_eq!(each(&redrive(&hive, &even_in_a).await?, "task_id"), Vec::<Value>::new());

    let (mut cursor, mut back) = (Value::Null, Vec::new());
    loop {
        let mut asked = json!({"filter": {"agent_id": agent}, "limit": 1});
        if !cursor.is_null() {
            asked["cursor"] = cursor;
        }
        let answer = redrive(&hive, &asked).await?;
        back.extend(each(&answer, "task_id"));
        cursor = answer["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(back, [ids[6].as_str(), &ids[5], &ids[3], &ids[1]]);
    assert_eq!(each(&hive.get("/api/v2/dead-letters").await?, "id"), Vec::<Value>::new());
    let neither = hive.post("/api/v2/dead-letters/redrive", &json!({}), 422).await?;
    assert_eq!(each(&json!({"items": neither["errors"]}), "field"), ["task_ids"]);
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_put_back_does_not_hold_the_others_up() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("gravedigger", &[], 9).await?;
    let asked = json!({"title": "only one", "attempts_max": 1, "unique": {"key": "only"}});
    let first = hive.submit(&asked).await?;
    hive.lease(&agent, 1, 30_000).await?;
    act(&hive, &first, "fail", &json!({"attempt": 1, "error": {"kind": "e", "message": "m"}}), 200).await?;
    let other = dead(&hive, &agent, "default", "k").await?;
    hive.submit(&asked).await?;
    let answer = redrive(&hive, &json!({"filter": {}})).await?;
    assert_eq!(each(&answer, "task_id"), [other.as_str(), &first]);
    assert_eq!(each(&answer, "status"), [200, 409]);
    assert_eq!(answer["items"][1]["problem"]["code"], "unique_conflict");
    assert_eq!(answer["next_cursor"], Value::Null, "who follows the cursor comes to an end");
    Ok(())
}

/// Submits to a queue until an answer has `status`; answers how many were accepted on the way.
async fn submit_until(hive: &Hive, queue: &str, status: u16) -> Result<usize> {
    let body = json!({"title": "more", "queue": queue}).to_string();
    let began = std::time::Instant::now();
    for accepted in 0.. {
        let answer = send(hive, Method::POST, "/api/v2/tasks", body.clone()).send().await?.status().as_u16();
        if answer == status {
            return Ok(accepted);
        }
        ensure!(answer == 201 || answer == 429, "a submit was answered {answer}");
        ensure!(began.elapsed() < tests::PATIENCE, "no submit was answered {status}");
    }
    Ok(0)
}

#[tokio::test]
async fn a_full_queue_refuses_what_comes_and_takes_more_after_a_claim() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LIMITS__QUEUE_TASKS", 20)).await?;
    let submit = |key: &str, path: &str, body: Value| {
        send(&hive, Method::POST, path, body.to_string()).header("idempotency-key", key)
    };
    let delayed = json!({"title": "delayed ones count as well", "delay_ms": 3_600_000});
    let one = || submit("one", "/api/v2/tasks", delayed.clone());
    let many = || submit("many", "/api/v2/tasks/bulk", json!({"tasks": [&delayed]}));
    let before = (
        expect(one().send().await?, StatusCode::CREATED).await?,
        expect(many().send().await?, StatusCode::OK).await?,
    );
    let accepted = submit_until(&hive, "default", 429).await?;
    // What was accepted is counted soon after its answer, not with it.
    ensure!((18..40).contains(&accepted), "{accepted} of 18 were accepted, one after the other");
    for what in ["the next one", "and the one after it"] {
        let body = json!({"title": "t"}).to_string();
        let full =
            refused(send(&hive, Method::POST, "/api/v2/tasks", body), (429, "queue_full"), what).await?;
        assert!(full.headers.contains_key("retry-after"));
        assert!(
            full.problem["detail"].as_str().is_some_and(|text| text.contains("default")),
            "{}",
            full.problem
        );
    }
    let after = (
        expect(one().send().await?, StatusCode::CREATED).await?,
        expect(many().send().await?, StatusCode::OK).await?,
    );
    assert_eq!(before, after, "what came before is answered");
    let new = submit("new", "/api/v2/tasks", delayed.clone());
    refused(new, (429, "queue_full"), "what has a key of its own").await?;
    assert_eq!(submit_until(&hive, "other", 201).await?, 0, "another queue has room");
    let agent = hive.agent("relief", &[], 100).await?;
    hive.lease(&agent, 100, 30_000).await?;
    submit_until(&hive, "default", 201).await?;
    Ok(())
}
