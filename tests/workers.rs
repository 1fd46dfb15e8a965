//! Many workers, some of which die or sleep while they hold leases: each task is completed once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tests::worker::{Manner, Worker, ledgers};
use tests::{Hive, Options};

/// How often each task appears in a `task.completed` event, over the whole log.
pub(crate) async fn completions(hive: &Hive) -> Result<HashMap<String, u32>> {
    let mut found = HashMap::new();
    let mut after = 0;
    loop {
        let page = hive.get(&format!("/api/v2/events?after={after}&limit=200")).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        for event in &items {
            let seq = event["seq"].as_i64().unwrap_or(0);
            ensure!(seq == after + 1, "the log has a hole: {seq} follows {after}");
            after = seq;
            if event["kind"] == "task.completed" {
                let task = event["task_id"].as_str().unwrap_or_default().to_owned();
                *found.entry(task).or_insert(0) += 1;
            }
        }
        if items.is_empty() {
            return Ok(found);
        }
    }
}

async fn submit_many(hive: &Hive, count: u32) -> Result<Vec<String>> {
    stream::iter(0..count)
        .map(|number| async move {
            let task = json!({"title": format!("task {number}"), "input": {"number": number}});
            hive.submit(&task).await
        })
        .buffer_unordered(64)
        .try_collect()
        .await
}

fn manner(number: u32) -> Manner {
    match number {
        0..5 => Manner::Dies(20),
        5..10 => Manner::Pauses(20, Duration::from_secs(5)),
        _ => Manner::Sound,
    }
}

#[tokio::test]
async fn slow_ten_thousand_tasks_through_fifty_workers_of_which_ten_misbehave_are_completed_once_each()
-> Result<()> {
    const TASKS: u32 = 10_000;
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__TTL_MS", 2_000)).await?;
    let folder = tempfile::tempdir()?;
    let mut agents = Vec::new();
    for number in 0..5 {
        agents.push(hive.agent(&format!("agent-{number}"), &[], 100).await?);
    }
    let total = Arc::new(AtomicU32::new(0));
    let workers = (0..50u32).map(|number| {
        let total = Arc::clone(&total);
        let worker = Worker {
            url: hive.url.clone(),
            token: hive.token.clone(),
            agent: agents[usize::try_from(number % 5).unwrap()].clone(),
            instance: format!("worker-{number}"),
            manner: manner(number),
            max: 5,
            ledger: folder.path().join(format!("{number}.ledger")),
            total: Arc::clone(&total),
        };
        worker.work(move || total.load(Ordering::Relaxed) >= TASKS)
    });
    let (submitted, told) = tokio::join!(submit_many(&hive, TASKS), try_join_all(workers));
    let (submitted, told) = (submitted?, told?);

    let mut noted = ledgers(folder.path())?;
    noted.sort_unstable();
    let mut expected = submitted.clone();
    expected.sort_unstable();
    assert_eq!(noted.len(), expected.len());
    assert_eq!(noted, expected, "every task was acknowledged as complete once, to one worker");

    let events = completions(&hive).await?;
    assert_eq!(events.len(), submitted.len());
    assert!(events.values().all(|count| *count == 1), "no task is completed twice in the log");
    assert!(expected.iter().all(|task| events.contains_key(task)));
    let stale: u32 = told.iter().map(|told| told.stale).sum();
    assert!(stale > 0, "the workers that slept beyond their leases were refused");
    assert!(told.iter().all(|told| told.late == 0), "none of them was believed: {told:?}");
    assert_eq!(hive.get("/api/v2/system").await?["tasks"]["completed"], json!(TASKS));
    Ok(())
}

#[tokio::test]
async fn more_load_than_the_hive_can_take_is_answered_503_with_a_time_to_come_back() -> Result<()> {
    let options = Options::default().set("HIVE__STORE__WRITER_QUEUE", 64);
    let hive = Hive::start_with(options).await?;
    let answers: Vec<(u16, bool)> = stream::iter(0..3_000)
        .map(|number| {
            let request = hive.request(reqwest::Method::POST, "/api/v2/tasks");
            async move {
                let answer = request.json(&json!({"title": format!("task {number}")})).send().await?;
                let has_hint = answer.headers().contains_key("retry-after");
                Ok::<_, reqwest::Error>((answer.status().as_u16(), has_hint))
            }
        })
        .buffer_unordered(256)
        .try_collect()
        .await?;
    let accepted = answers.iter().filter(|(status, _)| *status == 201).count();
    let refused = answers.iter().filter(|answer| **answer == (503, true)).count();
    assert_eq!(accepted + refused, answers.len(), "nothing but 201 and 503 with Retry-After");
    assert!(accepted > 0 && refused > 0, "{accepted} accepted, {refused} refused");
    let there = hive
        .until("/api/v2/system", |system| system["tasks"]["queued"].as_u64() == u64::try_from(accepted).ok())
        .await?;
    assert_eq!(there["tasks"]["queued"], json!(accepted), "what was refused is not there");
    Ok(())
}

#[tokio::test]
async fn an_assignment_whose_client_went_away_goes_to_the_next_worker_uncharged() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("shaky", &[], 10).await?;
    let path = format!("/api/v2/agents/{agent}/lease");
    let body = json!({"max": 1, "wait_ms": 30_000, "worker_instance": "gone"});
    let waiting = hive.request(reqwest::Method::POST, &path).json(&body).send();
    // The client gives up while its call waits.
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    let task = hive.submit(&json!({"title": "survivor"})).await?;
    let began = std::time::Instant::now();
    let assignment = loop {
        if let Some(assignment) = hive.lease(&agent, 1, 1_000).await?.pop() {
            break assignment;
        }
        ensure!(began.elapsed() < tests::PATIENCE, "nobody got the task");
    };
    assert_eq!(assignment["task_id"], Value::from(task.as_str()));
    let shown = hive.get(&format!("/api/v2/tasks/{task}")).await?;
    assert_eq!(shown["failures"], 0, "a hand-back is not charged");
    Ok(())
}
