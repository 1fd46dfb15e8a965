//! Slots that sessions open: what comes into which, and that nothing is claimed for a slot that is not there.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::Hive;
use tests::worker_socket::{WorkerSocket, about};

/// A counter; one with labels is not there before it counts.
async fn counted(hive: &Hive, name: &str) -> Result<u64> {
    let metrics = hive.request(reqwest::Method::GET, "/metrics").send().await?.text().await?;
    let count = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    count.map_or(Ok(0), |count| Ok(count.parse()?))
}

#[tokio::test]
async fn nothing_is_claimed_for_slots_that_open_and_fill_again_and_again_only_to_go_back() -> Result<()> {
    const TASKS: usize = 1_000;
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 16).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(16).await?;
    let submits = async {
        let clients = (0..8).map(async |client| {
            for number in 0..TASKS / 8 {
                hive.submit(&json!({"title": format!("t{client}-{number}")})).await?;
            }
            anyhow::Ok(())
        });
        futures_util::future::try_join_all(clients).await.map(drop)
    };
    let work = async {
        let mut done = 0;
        while done < TASKS {
            let frame = session.next().await?.map_err(|end| anyhow::anyhow!("{end:?}"))?;
            let items = frame["items"].as_array().context("items")?;
            if frame["type"] == "assignments" {
                let reports: Vec<Value> = items.iter().map(|work| about(work, &json!({}))).collect();
                session.send(&json!({"type": "complete", "items": reports})).await?;
                session.ready(u32::try_from(items.len())?).await?;
            } else {
                ensure!(items.iter().all(|item| item["status"] == 200), "{frame}");
                done += items.len();
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(submits, work)?;
    assert_eq!(counted(&hive, r#"hive_assignments_total{outcome="handed_back"}"#).await?, 0);
    Ok(())
}

/// Submits a task, which this session is given.
async fn next_into(hive: &Hive, session: &mut WorkerSocket) -> Result<()> {
    let id = hive.submit(&json!({"title": "next"})).await?;
    let work = session.assignments(1).await?.remove(0);
    // A second attempt would have been another session's first, which said nothing of it.
    assert_eq!((&work["task_id"], &work["attempt"]), (&json!(id), &json!(1)));
    session.report("heartbeat", json!([about(&work, &json!({}))])).await?;
    Ok(())
}

#[tokio::test]
async fn what_comes_goes_to_the_sessions_of_an_agent_in_turn_and_past_one_that_is_gone() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut one = WorkerSocket::open(&hive, &agent, "").await?;
    let mut two = WorkerSocket::open(&hive, &agent, "").await?;
    // Both are known to their agent once they have been given something.
    for session in [&mut one, &mut two] {
        session.ready(1).await?;
        next_into(&hive, session).await?;
    }
    for session in [&mut one, &mut two] {
        session.ready(2).await?;
        session.silence().await?;
    }
    next_into(&hive, &mut one).await?;
    next_into(&hive, &mut two).await?;
    drop(one);
    hive.until("/api/dashboard/websocket/stats", |told| told["websocket_stats"]["total_connections"] == 1)
        .await?;
    next_into(&hive, &mut two).await?;
    two.ready(1).await?;
    next_into(&hive, &mut two).await
}

#[tokio::test]
async fn slots_stay_open_while_their_agent_begins_anew() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(3).await?;
    hive.submit(&json!({"title": "before"})).await?;
    let work = session.assignments(1).await?.remove(0);
    session.report("heartbeat", json!([about(&work, &json!({}))])).await?;
    hive.post(&format!("/api/v2/agents/{agent}/restart"), &json!({}), 200).await?;
    for number in 0..2 {
        hive.submit(&json!({"title": format!("after {number}")})).await?;
    }
    for work in session.assignments(2).await? {
        session.report("complete", json!([about(&work, &json!({}))])).await?;
    }
    // All three are taken: the next one waits for a slot.
    let id = hive.submit(&json!({"title": "late"})).await?;
    session.silence().await?;
    assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["state"], "queued");
    session.ready(1).await?;
    assert_eq!(session.assignments(1).await?[0]["task_id"], id);
    Ok(())
}

#[tokio::test]
async fn a_report_that_is_refused_frees_no_slot_and_keeps_nobody_busy() -> Result<()> {
    let hive = Hive::start().await?;
    let (ada, bob) = (hive.agent("ada", &[], 1).await?, hive.agent("bob", &["b"], 1).await?);
    let key = json!({"name": "bob", "role": "agent", "agent_id": bob});
    let key = hive.post("/api/v2/auth/keys", &key, 201).await?["key"].as_str().context("a key")?.to_owned();
    let mut session = WorkerSocket::open(&hive, &ada, "").await?;
    session.ready(2).await?;
    hive.submit(&json!({"title": "held"})).await?;
    let held = session.assignments(1).await?.remove(0);
    session.report("heartbeat", json!([about(&held, &json!({}))])).await?;
    let waits = hive.submit(&json!({"title": "waits"})).await?;
    let before = counted(&hive, "hive_plans_total").await?;
    let complete =
        format!("{}/api/v2/tasks/{}/complete", hive.url, held["task_id"].as_str().context("an id")?);
    let report = reqwest::Client::new().post(&complete).bearer_auth(&key).json(&json!({"attempt": 1}));
    assert_eq!(report.send().await?.status(), 404, "it is not bob's");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!(hive.get(&format!("/api/v2/tasks/{waits}")).await?["state"], "queued");
    }
    assert_eq!(counted(&hive, "hive_plans_total").await?, before, "nobody counts on bob's word");
    session.report("complete", json!([about(&held, &json!({}))])).await?;
    assert_eq!(session.assignments(1).await?[0]["task_id"], waits);
    Ok(())
}

#[tokio::test]
async fn a_session_that_does_not_read_is_granted_no_more_until_it_does() -> Result<()> {
    const TASKS: usize = 60;
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 200).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(200).await?;
    let input = "x".repeat(900 << 10);
    for number in 0..TASKS {
        hive.submit(&json!({"title": format!("t{number}"), "input": input})).await?;
    }
    // 8 MiB that the session has not heard of, what the socket takes, and what was on its way.
    let working =
        hive.get(&format!("/api/v2/agents/{agent}")).await?["working"].as_u64().context("a count")?;
    ensure!((1..=40).contains(&working), "{working} of {TASKS} are its own");
    let mut seen = HashSet::new();
    while seen.len() < TASKS {
        let frame = session.next().await?.map_err(|end| anyhow::anyhow!("{end:?}"))?;
        if frame["type"] == "assignments" {
            let items = frame["items"].as_array().context("items")?;
            seen.extend(items.iter().map(|work| work["task_id"].to_string()));
            let named: Vec<Value> = items.iter().map(|work| about(work, &json!({}))).collect();
            session.send(&json!({"type": "heartbeat", "items": named})).await?;
        }
    }
    Ok(())
}
