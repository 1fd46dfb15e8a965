//! After kill -9 of the real program queued work goes on and workers keep their leases.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tests::{Hive, Options, free_address};

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
