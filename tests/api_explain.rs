//! Why a task is where it is: every reason, each with its numbers, provoked in turn.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::Hive;

use crate::api_tasks::{act, claim, patch};

/// Its reasons, in order.
async fn reasons(hive: &Hive, task: &str, state: &str) -> Result<Vec<Value>> {
    let answer = hive.get(&format!("/api/v2/tasks/{task}/explain")).await?;
    assert_eq!(answer["state"], state, "{answer}");
    let reasons = answer["reasons"].as_array().context("reasons")?.clone();
    for reason in &reasons {
        let message = reason["message"].as_str().context("a message")?;
        assert!(message.len() > 10, "{message}");
    }
    Ok(reasons)
}

async fn why(hive: &Hive, task: &str, state: &str) -> Result<Value> {
    let mut found = reasons(hive, task, state).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().context("a reason")
}

/// The members of a reason that are given, without its words.
fn members(reason: &Value) -> BTreeSet<String> {
    let names = reason.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    names.filter(|name| name != "message").collect()
}

fn has(reason: &Value, expected: &Value) {
    let mut shown = reason.clone();
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("message");
    }
    assert_eq!(shown, *expected, "{reason}");
}

#[tokio::test]
async fn a_waiting_task_says_what_its_agents_lack_and_how_they_stand() -> Result<()> {
    let hive = Hive::start().await?;
    let id = hive.submit(&json!({"title": "t", "requires": ["gpu", "rust"]})).await?;
    let nobody = json!({"code": "no_capable_agent", "agents": 0, "missing": ["gpu", "rust"]});
    has(&why(&hive, &id, "queued").await?, &nobody);
    let coder = hive.agent("coder", &["rust"], 2).await?;
    hive.agent("writer", &[], 2).await?;
    let lacks = why(&hive, &id, "queued").await?;
    has(&lacks, &json!({"code": "no_capable_agent", "agents": 2, "missing": ["gpu"]}));
    assert!(lacks["message"].as_str().is_some_and(|message| message.contains("the nearest lacks gpu")));

    let path = format!("/api/v2/agents/{coder}");
    patch(&hive, &path, &json!({"capabilities": ["rust", "gpu"]})).await?;
    has(&why(&hive, &id, "queued").await?, &json!({"code": "agents_offline", "agents": 1}));
    assert_eq!(claim(&hive, &coder).await?["task_id"], id.as_str());
    let next = hive.submit(&json!({"title": "t", "requires": ["gpu", "rust"]})).await?;
    let free = json!({"code": "agents_free", "agents": 1, "slots": 1, "position": 1});
    has(&why(&hive, &next, "queued").await?, &free);
    assert_eq!(claim(&hive, &coder).await?["task_id"], next.as_str());
    let other = hive.submit(&json!({"title": "t", "requires": ["rust"]})).await?;
    has(
        &why(&hive, &other, "queued").await?,
        &json!({"code": "agents_busy", "agents": 1, "slots": 2, "position": 1}),
    );
    let behind = hive.submit(&json!({"title": "t", "requires": ["rust"]})).await?;
    hive.submit(&json!({"title": "t", "requires": ["rust"], "priority": 9})).await?;
    assert_eq!(why(&hive, &behind, "queued").await?["position"], 3);

    hive.post(&format!("{path}/drain"), &json!({}), 200).await?;
    has(&why(&hive, &behind, "queued").await?, &json!({"code": "agents_draining", "agents": 1}));
    Ok(())
}

#[tokio::test]
async fn a_waiting_task_says_that_its_queue_is_paused_or_at_its_limit_and_who_it_is_pinned_to() -> Result<()>
{
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 9).await?;
    let limit = hive.request(Method::PUT, "/api/v2/queues/q").json(&json!({"concurrency_limit": 1}));
    limit.send().await?.error_for_status()?;
    hive.submit(&json!({"title": "first", "queue": "q"})).await?;
    claim(&hive, &agent).await?;
    let id = hive.submit(&json!({"title": "second", "queue": "q"})).await?;
    hive.post("/api/v2/queues/q/pause", &json!({}), 200).await?;
    let found = reasons(&hive, &id, "queued").await?;
    has(&found[0], &json!({"code": "queue_paused", "queue": "q", "waiting": 1}));
    has(&found[1], &json!({"code": "limit", "name": "concurrency_limit", "queue": "q", "used": 1, "max": 1}));
    has(&found[2], &json!({"code": "agents_free", "agents": 1, "slots": 8, "position": 1}));
    assert_eq!(found.len(), 3);

    let pinned = json!({"title": "pinned", "agent_id": agent, "requires": ["gpu"]});
    let id = hive.submit(&pinned).await?;
    has(
        &why(&hive, &id, "queued").await?,
        &json!({"code": "no_capable_agent", "agents": 1, "missing": ["gpu"]}),
    );
    Ok(())
}

#[tokio::test]
async fn a_task_says_until_when_it_is_delayed_or_backs_off() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 9).await?;
    let delayed = hive.submit(&json!({"title": "later", "delay_ms": 3_600_000})).await?;
    let task = hive.get(&format!("/api/v2/tasks/{delayed}")).await?;
    has(&why(&hive, &delayed, "scheduled").await?, &json!({"code": "delayed", "until": task["eligible_at"]}));
    let slow = json!({"title": "slow", "backoff": {"initial_ms": 200_000, "jitter": 0.0}});
    let id = hive.submit(&slow).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "fail", &json!({"attempt": 1, "error": {"kind": "e", "message": "m"}}), 200).await?;
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    let expected = json!({"code": "backoff", "until": task["eligible_at"], "failures": 1, "attempts_max": 3});
    has(&why(&hive, &id, "scheduled").await?, &expected);
    Ok(())
}

#[tokio::test]
async fn a_task_says_who_works_on_it_and_how_it_ended() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 9).await?;
    let id = hive.submit(&json!({"title": "t", "attempts_max": 1})).await?;
    claim(&hive, &agent).await?;
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    let working = json!({"code": "working", "agent_id": agent, "attempt": 1,
        "since": task["started_at"], "until": task["lease_expires_at"]});
    has(&why(&hive, &id, "working").await?, &working);
    act(&hive, &id, "cancel", &json!({}), 200).await?;
    let found = reasons(&hive, &id, "working").await?;
    assert_eq!((&found[0]["code"], &found[1]["code"]), (&json!("cancel_requested"), &json!("working")));
    assert_eq!(members(&found[0]), ["agent_id", "attempt", "code", "until"].map(str::to_owned).into());
    act(&hive, &id, "cancel", &json!({"force": true}), 200).await?;
    assert_eq!(why(&hive, &id, "canceled").await?["code"], "canceled");

    let id = hive.submit(&json!({"title": "t", "attempts_max": 1})).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "fail", &json!({"attempt": 1, "error": {"kind": "boom", "message": "no fuel"}}), 200)
        .await?;
    let failed = why(&hive, &id, "failed").await?;
    let shown = (&failed["code"], &failed["error_kind"], &failed["failures"], &failed["attempts_max"]);
    assert_eq!(shown, (&json!("failed"), &json!("boom"), &json!(1), &json!(1)));
    assert!(failed["message"].as_str().is_some_and(|message| message.ends_with("no fuel")));

    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "complete", &json!({"attempt": 1}), 200).await?;
    let completed = why(&hive, &id, "completed").await?;
    assert_eq!((&completed["code"], &completed["attempt"]), (&json!("completed"), &json!(1)));
    let unknown = hive.request(Method::GET, "/api/v2/tasks/task_0000000000000/explain").send().await?;
    assert_eq!(unknown.status(), 404);
    Ok(())
}
