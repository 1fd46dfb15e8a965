//! Kill -9 of the real program: nothing acknowledged is lost, queued work goes on, workers keep their leases.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::worker::{Manner, Worker, ledgers};
use tests::{Hive, Options, free_address};

use crate::workers::completions;

/// Submits with idempotency keys until told to stop; a submit whose answer was lost is sent again under its key. Answers
/// the ids that were acknowledged.
async fn submit_until(url: String, token: String, name: u32, stop: Arc<AtomicBool>) -> Result<Vec<String>> {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = client
            .post(format!("{url}/api/v2/tasks"))
            .bearer_auth(&token)
            .header("Idempotency-Key", format!("{name}-{number}"))
            .json(&json!({"title": format!("task {name}-{number}")}));
        match request.send().await {
            Ok(answer) if answer.status() == StatusCode::CREATED => {
                let Ok(task) = answer.json::<Value>().await else { continue };
                acknowledged.push(task["id"].as_str().context("an id")?.to_owned());
                number += 1;
            }
            // Away, starting or full: the same key again.
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    Ok(acknowledged)
}

#[expect(clippy::disallowed_methods, reason = "the test waits for each of them itself")]
#[tokio::test]
async fn slow_twenty_kills_lose_no_acknowledged_task_and_complete_none_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ledger = tempfile::tempdir()?;
    let address = free_address()?;
    let options = Options::default()
        .folder(&folder.path().join("data"))
        .bind(address)
        .set("HIVE__LEASE__TTL_MS", 2_000);
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("steady", &[], 1_000).await?;
    let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let goal = Arc::new(AtomicU32::new(u32::MAX));
    let submitters: Vec<_> = (0..8)
        .map(|name| tokio::spawn(submit_until(hive.url.clone(), hive.token.clone(), name, Arc::clone(&stop))))
        .collect();
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let worker = Worker {
                url: hive.url.clone(),
                token: hive.token.clone(),
                agent: agent.clone(),
                instance: format!("worker-{number}"),
                manner: Manner::Sound,
                max: 20,
                ledger: ledger.path().join(format!("{number}.ledger")),
                total: Arc::clone(&total),
            };
            let goal = Arc::clone(&goal);
            let total = Arc::clone(&total);
            tokio::spawn(worker.work(move || total.load(Ordering::Relaxed) >= goal.load(Ordering::Relaxed)))
        })
        .collect();
    for cycle in 0..20u64 {
        tokio::time::sleep(Duration::from_millis(50 + 37 * cycle % 400)).await;
        hive.kill()?;
        hive = Hive::start_with(options.clone()).await?;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = HashSet::new();
    for ids in join_all(submitters).await {
        for id in ids?? {
            assert!(acknowledged.insert(id), "one id was given to two submits");
        }
    }
    assert!(acknowledged.len() > 200, "too little was submitted to prove anything: {}", acknowledged.len());
    let ended = |system: &Value| {
        let tasks = &system["tasks"];
        ["scheduled", "queued", "working"].iter().all(|state| tasks[*state] == 0)
    };
    hive.until("/api/v2/system", ended).await?;
    goal.store(0, Ordering::Relaxed);
    for worker in join_all(workers).await {
        worker??;
    }
    let events = completions(&hive).await?;
    for id in &acknowledged {
        assert_eq!(events.get(id), Some(&1), "{id} was acknowledged");
    }
    assert!(events.values().all(|count| *count == 1), "no task is completed twice");
    for id in ledgers(ledger.path())? {
        assert_eq!(events.get(&id), Some(&1), "{id} was acknowledged as complete");
    }
    Ok(())
}

#[tokio::test]
async fn after_a_kill_queued_work_goes_on_and_a_worker_keeps_its_lease() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default()
        .folder(&folder.path().join("data"))
        .bind(free_address()?)
        .set("HIVE__LEASE__TTL_MS", 3_000);
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("keeper", &[], 1).await?;
    let held = hive.submit(&json!({"title": "held"})).await?;
    let waiting = hive.submit(&json!({"title": "waiting"})).await?;
    let later = hive.submit(&json!({"title": "later", "delay_ms": 3_600_000})).await?;
    assert_eq!(hive.lease(&agent, 1, 5_000).await?[0]["task_id"], Value::from(held.as_str()));
    hive.post("/api/v2/queues/other/pause", &json!({}), 200).await?;
    hive.kill()?;
    // The lease runs out while nobody is there who could renew it.
    tokio::time::sleep(Duration::from_millis(3_500)).await;

    let hive = Hive::start_with(options).await?;
    // The reaper looks several times a second and must find nothing to reap.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let beat = json!({"attempt": 1, "progress": 0.5});
    let answer = hive.post(&format!("/api/v2/tasks/{held}/heartbeat"), &beat, 200).await?;
    assert_eq!(answer["cancel_requested"], false);
    let done = json!({"attempt": 1, "result": {"kept": true}});
    hive.post(&format!("/api/v2/tasks/{held}/complete"), &done, 200).await?;
    assert_eq!(hive.lease(&agent, 1, 5_000).await?[0]["task_id"], Value::from(waiting.as_str()));
    let shown = hive.get(&format!("/api/v2/tasks/{held}")).await?;
    assert_eq!((&shown["state"], &shown["attempt"]), (&json!("completed"), &json!(1)));
    assert_eq!(shown["result"], json!({"kept": true}));
    assert_eq!(hive.get(&format!("/api/v2/tasks/{later}")).await?["state"], "scheduled");
    assert_eq!(hive.get("/api/v2/queues/other").await?["paused"], true, "a pause survives");
    Ok(())
}
