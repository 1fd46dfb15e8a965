//! The Postman collection against a real hive: every request of it, with its example, is one that the hive takes.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::Hive;
use tests::watcher::Watcher;

use crate::api_tasks::{act, each};
use crate::openapi::document;

/// Ids that the variables of the collection stand for, made anew for each request.
struct Variables {
    task: String,
    agent: String,
    key: String,
    connection: String,
    /// Holds the connection.
    _watcher: Watcher,
}

/// Something of everything, in the state that a request is about: reports need an attempt, a retry a dead letter.
async fn prepare(hive: &Hive, place: usize, url: &str, body: &str) -> Result<Variables> {
    let agent = hive.agent(&format!("agent-{place}"), &[&format!("only-{place}")], 1).await?;
    let task = json!({"title": "t", "requires": [format!("only-{place}")], "attempts_max": 1});
    let task = hive.submit(&task).await?;
    let is_dead = url.ends_with("/retry") || url.contains("/dead-letters/");
    if is_dead || (body.contains("\"attempt\"") && !body.contains("\"task_ids\"")) {
        // What the requests before this one have made goes, so that the agent is handed this task, as attempt 1.
        for other in each(&hive.get("/api/v2/tasks?state=queued&limit=200").await?, "id") {
            let other = other.as_str().context("an id")?;
            if other != task {
                act(hive, other, "cancel", &json!({}), 200).await?;
            }
        }
        let held = hive.lease(&agent, 1, 30_000).await?;
        ensure!(each(&json!({"items": held}), "task_id") == [json!(task)], "{held:?} for {url}");
    }
    if is_dead {
        let error = json!({"attempt": 1, "error": {"kind": "k", "message": "m"}});
        hive.post(&format!("/api/v2/tasks/{task}/fail"), &error, 200).await?;
    }
    let key = json!({"name": format!("key-{place}"), "role": "viewer"});
    let key = hive.post("/api/v2/auth/keys", &key, 201).await?;
    let mut watcher = Watcher::connect(hive, "system").await?;
    let connection = watcher.frame().await?["connection_id"].as_str().context("an id")?.to_owned();
    let key = key["id"].as_str().context("an id")?.to_owned();
    Ok(Variables { task, agent, key, connection, _watcher: watcher })
}

impl Variables {
    fn fill(&self, text: &str) -> String {
        let known = [
            ("{{task_id}}", self.task.as_str()),
            ("{{agent_id}}", &self.agent),
            ("{{key_id}}", &self.key),
            ("{{disconnect_id}}", &self.connection),
            ("{{queue}}", "reports"),
        ];
        known.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

#[tokio::test]
async fn every_request_of_the_collection_is_taken_by_a_real_hive() -> Result<()> {
    let collection = api::postman::collection(&document()?);
    let folders = collection["item"].as_array().context("folders")?;
    let hive = Hive::start().await?;
    // Not the queue of the other tasks: a request pauses it, another limits it.
    hive.submit(&json!({"title": "t", "queue": "reports", "delay_ms": 3_600_000})).await?;
    let mut asked = 0;
    for item in folders.iter().filter_map(|folder| folder["item"].as_array()).flatten() {
        let (name, request) = (&item["name"], &item["request"]);
        let raw = request["url"]["raw"].as_str().context("a URL")?;
        let body = request["body"]["raw"].as_str().unwrap_or_default();
        let variables = prepare(&hive, asked, raw, body).await?;
        let mut path = raw.strip_prefix("{{base_url}}").context("the base URL")?.to_owned();
        for variable in request["url"]["variable"].as_array().into_iter().flatten() {
            let key = format!(":{}", variable["key"].as_str().context("a key")?);
            path = path.replace(&key, variable["value"].as_str().context("a value")?);
        }
        let method: Method = request["method"].as_str().context("a method")?.parse()?;
        let mut sent = hive.request(method, &variables.fill(&path));
        if !body.is_empty() {
            sent = sent.header("content-type", "application/json").body(variables.fill(body));
        }
        let answer = sent.send().await?;
        let status = answer.status();
        if path.ends_with("/stream") {
            // It goes on without an end.
            ensure!(status.is_success(), "{name}: {path} answered {status}");
            asked += 1;
            continue;
        }
        let text = answer.text().await?;
        ensure!(status.is_success() && !path.contains(':'), "{name}: {path} answered {status}: {text}");
        // Where each item has its own answer, each of them is a good one.
        let items: Value = serde_json::from_str(&text).unwrap_or_default();
        for item in items["items"].as_array().into_iter().flatten().filter(|item| item["status"].is_u64()) {
            ensure!(item["status"].as_u64() < Some(400), "{name}: {text}");
        }
        asked += 1;
    }
    ensure!(asked >= 42, "only {asked} requests");
    Ok(())
}
