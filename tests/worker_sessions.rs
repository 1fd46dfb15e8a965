//! Work over a WebSocket: slots, pushed assignments, reports item by item, and what becomes of them when connections break.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::worker_socket::{WorkerSocket, about};
use tests::{Hive, Options};
use tokio_tungstenite::tungstenite::Message;

async fn submit(hive: &Hive, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(hive.submit(&json!({"title": format!("t{number}"), "input": {"n": number}})).await?);
    }
    Ok(ids)
}

async fn state(hive: &Hive, id: &str) -> Result<Value> {
    Ok(hive.get(&format!("/api/v2/tasks/{id}")).await?["state"].clone())
}

#[tokio::test]
async fn an_assignment_is_pushed_into_an_open_slot_and_reported_over_the_session() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    assert_eq!(session.established["worker_instance"], "host-1");
    assert_eq!(session.established["agent_id"], agent);
    assert_eq!(session.established["limits"]["items_max"], 256);
    session.ready(2).await?;
    let input = r#"{"text": "naïve",  "n": 1.50}"#;
    let body: Value = serde_json::from_str(&format!(r#"{{"title": "t", "input": {input}}}"#))?;
    let id = hive.submit(&body).await?;
    let work = session.assignments(1).await?.remove(0);
    assert_eq!((&work["task_id"], &work["attempt"], &work["input"]), (&json!(id), &json!(1), &body["input"]));

    let items = json!([about(&work, &json!({"progress": 0.5, "message": "half"}))]);
    let told = session.report("heartbeat", items).await?;
    assert_eq!((&told[0]["status"], &told[0]["cancel_requested"]), (&json!(200), &json!(false)));
    assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["progress"]["fraction"], 0.5);
    let told = session.report("output", json!([about(&work, &json!({"text": "hello\n"}))])).await?;
    assert_eq!((&told[0]["stored_bytes"], &told[0]["truncated"]), (&json!(6), &json!(false)));
    let report = json!([about(&work, &json!({"result": {"words": 812}, "usage": {"cost_usd": 0.5}}))]);
    for _ in 0..2 {
        let told = session.report("complete", report.clone()).await?;
        assert_eq!((&told[0]["status"], &told[0]["state"]), (&json!(200), &json!("completed")), "also again");
    }
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!((&task["result"], &task["usage"]), (&json!({"words": 812}), &json!({"cost_usd": 0.5})));
    // Its end was its own report: nothing is said of it.
    session.silence().await
}

#[tokio::test]
async fn output_that_is_answered_behind_the_end_of_its_attempt_does_not_make_the_end_news() -> Result<()> {
    const TASKS: usize = 40;
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 64).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(u32::try_from(TASKS)?).await?;
    submit(&hive, TASKS).await?;
    let work = session.assignments(TASKS).await?;
    for work in &work {
        session.send(&json!({"type": "output", "items": [about(work, &json!({"text": "done\n"}))]})).await?;
        session.send(&json!({"type": "complete", "items": [about(work, &json!({}))]})).await?;
    }
    for _ in &work {
        for kind in ["output", "complete"] {
            let ack = session.of_type("ack").await?;
            ensure!(ack["of"] == kind && ack["items"][0]["status"] == 200, "{ack}");
        }
    }
    // What happens later comes behind whatever was to be said of those.
    session.ready(1).await?;
    submit(&hive, 1).await?;
    session.assignments(1).await?;
    session.silence().await
}

#[tokio::test]
async fn no_more_is_pushed_than_slots_are_open_and_open_ones_can_be_taken_back() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(2).await?;
    submit(&hive, 6).await?;
    let work = session.assignments(2).await?;
    session.report("heartbeat", json!([about(&work[0], &json!({})), about(&work[1], &json!({}))])).await?;
    session.report("complete", json!([about(&work[0], &json!({}))])).await?;
    session.silence().await?;
    session.ready(1).await?;
    let more = session.assignments(1).await?.remove(0);
    session.report("heartbeat", json!([about(&more, &json!({}))])).await?;
    let queue = hive.get("/api/v2/queues/default").await?;
    assert_eq!(queue["tasks"]["queued"], 3, "{queue}");
    for task in hive.get("/api/v2/tasks?state=queued").await?["items"].as_array().context("items")? {
        let id = task["id"].as_str().context("an id")?;
        hive.post(&format!("/api/v2/tasks/{id}/cancel"), &json!({}), 200).await?;
    }
    session.ready(5).await?;
    session.ready(0).await?;
    session.silence().await?;
    let id = submit(&hive, 1).await?.remove(0);
    session.silence().await?;
    // Perhaps it met the call that was just taken back, and is on its way back, too.
    hive.until(&format!("/api/v2/tasks/{id}"), |task| task["state"] == "queued").await?;
    session.silence().await?;
    session.ready(1).await?;
    assert_eq!(session.assignments(1).await?[0]["task_id"], id);
    Ok(())
}

#[tokio::test]
async fn each_item_of_a_report_is_answered_by_itself_in_its_order() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(3).await?;
    submit(&hive, 3).await?;
    let work = session.assignments(3).await?;
    let unknown = json!({"task_id": "task_0000000000007", "attempt": 1});
    let error = json!({"error": {"kind": "bug", "message": "m"}, "retryable": false});
    let items = json!([
        about(&work[0], &json!({"result": 7})),
        about(&work[1], &json!({"result": 7, "speed": 1})),
        {"task_id": work[1]["task_id"], "attempt": 2},
        unknown,
        7,
        about(&work[1], &error),
        about(&work[2], &json!({})),
    ]);
    let told = session.report("complete", items).await?;
    let statuses: Vec<u64> = told.iter().filter_map(|item| item["status"].as_u64()).collect();
    assert_eq!(statuses, [200, 422, 409, 404, 422, 422, 200], "{told:?}");
    assert_eq!(told[1]["problem"]["errors"][0]["field"], "speed");
    assert_eq!(told[2]["problem"]["code"], "stale_lease");
    assert_eq!((&told[4]["task_id"], &told[4]["attempt"]), (&Value::Null, &Value::Null));
    assert!(told[5]["problem"].to_string().contains("`fail`"), "{}", told[5]);
    let told = session.report("fail", json!([about(&work[1], &json!({})), about(&work[1], &error)])).await?;
    assert_eq!(told[0]["problem"]["errors"][0]["field"], "error");
    assert_eq!((&told[1]["status"], &told[1]["state"]), (&json!(200), &json!("failed")));
    Ok(())
}

#[tokio::test]
async fn an_assignment_that_is_not_named_in_five_seconds_goes_back_uncharged_whether_the_connection_stands_or_not()
-> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut silent = WorkerSocket::open(&hive, &agent, "?worker_instance=silent").await?;
    let mut broken = WorkerSocket::open(&hive, &agent, "?worker_instance=broken").await?;
    silent.ready(2).await?;
    submit(&hive, 2).await?;
    let work = silent.assignments(2).await?;
    let told = silent.report("heartbeat", json!([about(&work[1], &json!({}))])).await?;
    assert_eq!(told[0]["status"], 200);
    broken.ready(1).await?;
    let lost = hive.submit(&json!({"title": "t"})).await?;
    broken.assignments(1).await?;
    drop(broken);
    let canceled = silent.of_type("cancel").await?;
    let expected = json!([{"task_id": work[0]["task_id"], "attempt": 1, "reason": "lost"}]);
    assert_eq!(canceled["items"], expected, "the one that was named stays");
    let id = work[0]["task_id"].as_str().context("an id")?;
    for id in [id, &lost] {
        let task = hive.task_when(id, |task| task["state"] == "queued").await?;
        assert_eq!(task["failures"], 0, "{task}");
    }
    let attempts = hive.get(&format!("/api/v2/tasks/{id}/attempts")).await?;
    let ended = (&attempts["items"][0]["outcome"], &attempts["items"][0]["error"]["kind"]);
    assert_eq!(ended, (&json!("interrupted"), &json!("handed_back")), "{attempts}");
    let told = silent.report("complete", json!([about(&work[0], &json!({}))])).await?;
    assert_eq!(told[0]["status"], 409, "{told:?}");
    silent.ready(2).await?;
    let again = silent.assignments(2).await?;
    assert!(again.iter().all(|work| work["attempt"] == 2), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_broken_connection_keeps_its_leases_and_the_next_of_the_same_worker_takes_them_up() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut first = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    let mut other = WorkerSocket::open(&hive, &agent, "?worker_instance=host-2").await?;
    first.ready(3).await?;
    let ids = submit(&hive, 3).await?;
    let work = first.assignments(3).await?;
    let items: Vec<Value> = work.iter().map(|work| about(work, &json!({}))).collect();
    first.report("heartbeat", json!(items)).await?;
    first.report("complete", json!([items[0]])).await?;
    // It still stands when the next one comes: then that one speaks for the worker.
    let mut second = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    let resumed = second.of_type("assignments").await?;
    assert_eq!(resumed["resumed"], true);
    assert_eq!(resumed["items"].as_array().map(Vec::len), Some(2), "what was completed is not held");
    assert_eq!(resumed["items"][0]["input"], json!({"n": 1}));
    let (code, reason, notice) = first.end().await?;
    assert_eq!((code, reason.as_str()), (4409, "superseded"));
    assert_eq!(notice.context("a notice")?["type"], "disconnect_notice");
    drop(second);
    let mut third = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    let resumed = third.assignments(2).await?;
    assert_eq!((&resumed[0]["task_id"], &resumed[0]["attempt"]), (&json!(ids[1]), &work[1]["attempt"]));
    let told = third.report("complete", json!([items[1], items[2]])).await?;
    assert!(told.iter().all(|item| item["status"] == 200), "{told:?}");
    third.silence().await?;
    other.silence().await
}

#[tokio::test]
async fn whoever_should_end_an_attempt_is_told_why() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__TTL_MS", 1_000)).await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    session.ready(3).await?;
    let ids = submit(&hive, 3).await?;
    let work = session.assignments(3).await?;
    let all: Vec<Value> = work.iter().map(|work| about(work, &json!({}))).collect();
    session.report("heartbeat", json!(all)).await?;
    hive.post(&format!("/api/v2/tasks/{}/cancel", ids[0]), &json!({}), 200).await?;
    let told = session.of_type("cancel").await?;
    let reason = |told: &Value| (told["items"][0]["task_id"].clone(), told["items"][0]["reason"].clone());
    assert_eq!(reason(&told), (json!(ids[0]), json!("cancel_requested")));
    // Who takes the attempt up hears of it again.
    drop(session);
    let mut session = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    session.assignments(3).await?;
    assert_eq!(reason(&session.of_type("cancel").await?), (json!(ids[0]), json!("cancel_requested")));
    let told = session.report("heartbeat", json!([all[0]])).await?;
    assert_eq!(told[0]["cancel_requested"], true);
    let told = session
        .report("fail", json!([about(&work[0], &json!({"error": {"kind": "k", "message": "m"}}))]))
        .await?;
    assert_eq!(told[0]["state"], "canceled");
    hive.post(&format!("/api/v2/tasks/{}/cancel", ids[1]), &json!({"force": true}), 200).await?;
    let mut lost = [session.of_type("cancel").await?, session.of_type("cancel").await?];
    lost.sort_by_key(|told| told["items"][0]["task_id"].to_string());
    assert_eq!(reason(&lost[0]), (json!(ids[1]), json!("lost")), "ended by force");
    assert_eq!(reason(&lost[1]), (json!(ids[2]), json!("lost")), "no heartbeat came in time");
    Ok(())
}

#[tokio::test]
async fn after_a_crash_of_the_hive_a_heartbeat_takes_an_attempt_up_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("data");
    let mut hive = Hive::start_with(Options::default().folder(&folder)).await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    session.ready(1).await?;
    let id = submit(&hive, 1).await?.remove(0);
    let work = session.assignments(1).await?.remove(0);
    session.report("heartbeat", json!([about(&work, &json!({}))])).await?;
    hive.kill()?;
    let hive = Hive::start_with(Options::default().folder(&folder)).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "?worker_instance=host-1").await?;
    let told = session.report("heartbeat", json!([about(&work, &json!({}))])).await?;
    assert_eq!(told[0]["status"], 200);
    hive.post(&format!("/api/v2/tasks/{id}/cancel"), &json!({}), 200).await?;
    assert_eq!(session.of_type("cancel").await?["items"][0]["reason"], "cancel_requested");
    let told = session.report("complete", json!([about(&work, &json!({}))])).await?;
    assert_eq!(told[0]["status"], 200);
    Ok(())
}

#[tokio::test]
async fn a_frame_that_is_refused_as_a_whole_says_what_would_be_right_and_the_session_stays() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LIMITS__RESULT_BYTES", 1_024)).await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    let max = session.established["limits"]["message_bytes_max"].as_u64().context("a limit")?;
    assert_eq!(max, 1_024 + (256 << 10));
    let max = usize::try_from(max)?;
    let many =
        json!({"type": "heartbeat", "items": vec![json!({}); 257], "correlation_id": "c-7"}).to_string();
    let long = format!(r#"{{"type":"ping","pad":"{}"}}"#, "x".repeat(max));
    let fits = format!(r#"{{"type":"ping","pad":"{}"}}"#, "x".repeat(max - 24));
    for (text, code) in [
        (many.as_str(), "invalid_value"),
        (r#"{"type":"ready","slots":1001}"#, "invalid_value"),
        (r#"{"type":"dance"}"#, "unknown_message_type"),
        ("{", "invalid_json"),
        (&long, "message_too_large"),
    ] {
        session.send_raw(Message::text(text)).await?;
        let error = session.of_type("error").await?;
        ensure!(error["code"] == code, "{error}");
    }
    session.send_raw(Message::text(fits)).await?;
    session.of_type("pong").await?;
    session.send_raw(Message::binary(vec![1, 2])).await?;
    assert_eq!(session.of_type("error").await?["code"], "invalid_json");
    session.ready(1_000).await?;
    session.ready(1).await?;
    let error = session.of_type("error").await?;
    assert!(error["message"].to_string().contains("1000"), "{error}");
    session.send_raw(Message::text("x".repeat(max + (1 << 20) + 1))).await.ok();
    let (code, ..) = session.end().await?;
    ensure!(code == 1009 || code == 1006, "{code}: a reset may come before the closing frame is read");
    Ok(())
}

#[tokio::test]
async fn only_who_may_work_for_the_agent_opens_its_session() -> Result<()> {
    let hive = Hive::start().await?;
    let (ada, bob) = (hive.agent("ada", &[], 1).await?, hive.agent("bob", &[], 1).await?);
    let process = json!({"name": "sh", "role": "coder", "link": {"kind": "process", "command": ["true"]}});
    let process = hive.post("/api/v2/agents", &process, 201).await?;
    let process = process["id"].as_str().context("an id")?;
    let key = async |body: Value| -> Result<(String, String)> {
        let made = hive.post("/api/v2/auth/keys", &body, 201).await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).context("a key");
        Ok((text("id")?, text("key")?))
    };
    let (id, own) = key(json!({"name": "ada", "role": "agent", "agent_id": ada})).await?;
    let (_, viewer) = key(json!({"name": "v", "role": "viewer"})).await?;
    let offer = async |agent: &str, query: &str, token: &str| -> Result<u16> {
        let bearer = format!("Bearer {token}");
        let path = format!("{agent}/session{query}");
        let offered = WorkerSocket::offer(&hive, &path, &[("authorization", &bearer)]).await?;
        Ok(offered.err().unwrap_or(101))
    };
    let admin = hive.token.as_str();
    assert_eq!(offer(&ada, "", "nonsense").await?, 401);
    assert_eq!(offer(&ada, "", &viewer).await?, 403);
    assert_eq!(offer(&bob, "", &own).await?, 404, "another agent's");
    assert_eq!(offer("agent_0000000000007", "", admin).await?, 404);
    assert_eq!(offer(process, "", admin).await?, 409, "the hive starts its processes itself");
    assert_eq!(offer(&ada, "?worker_instance=", admin).await?, 422);
    assert_eq!(offer(&ada, "?speed=1", admin).await?, 422);
    let foreign = [("authorization", &*format!("Bearer {admin}")), ("origin", "http://evil.example")];
    let path = format!("{ada}/session");
    assert_eq!(WorkerSocket::offer(&hive, &path, &foreign).await?.err(), Some(403));
    let plain = hive.request(reqwest::Method::GET, &format!("/api/v2/agents/{ada}/session")).send().await?;
    assert_eq!(plain.status(), 400, "no handshake");
    let named = WorkerSocket::offer(&hive, &format!("{path}?access_token={own}"), &[]).await?;
    let mut session = named.map_err(|status| anyhow::anyhow!("{status}"))?;
    let stats = hive.get("/api/dashboard/websocket/stats").await?;
    assert_eq!(stats["websocket_stats"]["connections_by_type"]["worker"], 1, "{stats}");
    hive.request(reqwest::Method::DELETE, &format!("/api/v2/auth/keys/{id}")).send().await?;
    let (code, reason, _) = session.end().await?;
    assert_eq!((code, reason.as_str()), (4401, "credentials"));
    Ok(())
}

#[tokio::test]
async fn a_session_ends_with_its_agent_or_its_hive_and_hears_nothing_while_the_agent_drains() -> Result<()> {
    let mut hive = Hive::start().await?;
    let (ada, bob) = (hive.agent("ada", &["a"], 1).await?, hive.agent("bob", &["b"], 2).await?);
    let mut gone = WorkerSocket::open(&hive, &ada, "").await?;
    gone.ready(1).await?;
    hive.request(reqwest::Method::DELETE, &format!("/api/v2/agents/{ada}")).send().await?;
    let (code, reason, _) = gone.end().await?;
    assert_eq!((code, reason.as_str()), (4404, "agent_removed"));
    let mut session = WorkerSocket::open(&hive, &bob, "").await?;
    session.ready(2).await?;
    hive.post(&format!("/api/v2/agents/{bob}/drain"), &json!({}), 200).await?;
    let id = hive.submit(&json!({"title": "t", "requires": ["b"]})).await?;
    session.silence().await?;
    assert_eq!(state(&hive, &id).await?, "queued");
    hive.post(&format!("/api/v2/agents/{bob}/resume"), &json!({}), 200).await?;
    let work = session.assignments(1).await?.remove(0);
    session.report("heartbeat", json!([about(&work, &json!({}))])).await?;
    let (stopped, ended) = tokio::join!(hive.terminate(), session.end());
    stopped?;
    let (code, reason, _) = ended?;
    assert_eq!((code, reason.as_str()), (1001, "shutdown"));
    Ok(())
}

#[tokio::test]
async fn many_reports_at_once_are_answered_in_their_order_and_the_hive_reads_no_faster_than_it_writes()
-> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 10).await?;
    let mut session = WorkerSocket::open(&hive, &agent, "").await?;
    session.ready(1).await?;
    let id = submit(&hive, 1).await?.remove(0);
    let work = session.assignments(1).await?.remove(0);
    let mut expected = 0_u64;
    for round in 0..200 {
        let text = format!("{round:03}");
        let items = vec![about(&work, &json!({"text": text})); 10];
        session.send(&json!({"type": "output", "items": items})).await?;
    }
    for _ in 0..200 {
        let ack = session.of_type("ack").await?;
        for item in ack["items"].as_array().context("items")? {
            expected += 3;
            ensure!(item["stored_bytes"] == expected, "{item} is not {expected}");
        }
    }
    let mut written = String::new();
    let mut path = format!("/api/v2/tasks/{id}/output?limit=200");
    loop {
        let page = hive.get(&path).await?;
        for piece in page["items"].as_array().context("items")? {
            written.push_str(piece["text"].as_str().context("a text")?);
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v2/tasks/{id}/output?limit=200&cursor={next}");
    }
    let whole: String = (0..200).map(|round| format!("{round:03}").repeat(10)).collect();
    assert!(written == whole, "{written}");
    Ok(())
}

#[tokio::test]
async fn work_over_sessions_that_break_again_and_again_is_completed_once_each() -> Result<()> {
    const TASKS: usize = 1_000;
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 64).await?;
    let work = async |instance: usize| -> Result<usize> {
        let query = format!("?worker_instance=host-{instance}");
        let (mut done, mut rounds) = (0, 0_usize);
        let mut idle = 0;
        while idle < 20 {
            rounds += 1;
            let mut session = WorkerSocket::open(&hive, &agent, &query).await?;
            session.ready(8).await?;
            // Some rounds end with answers on their way, and with assignments that nobody has read.
            for _ in 0..(rounds % 7) {
                let next = tokio::time::timeout(Duration::from_millis(200), session.next()).await;
                let Ok(next) = next else {
                    idle += 1;
                    break;
                };
                let frame = next?.map_err(|end| anyhow::anyhow!("{end:?}"))?;
                let items = frame["items"].as_array().context("items")?;
                match frame["type"].as_str() {
                    Some("assignments") => {
                        idle = 0;
                        let items: Vec<Value> = items.iter().map(|work| about(work, &json!({}))).collect();
                        session.send(&json!({"type": "complete", "items": items})).await?;
                        session.ready(8).await.ok();
                    }
                    Some("ack") => done += items.iter().filter(|item| item["status"] == 200).count(),
                    _ => {}
                }
            }
        }
        Ok(done)
    };
    let feeding = async {
        for _ in 0..10 {
            let items: Vec<Value> = (0..TASKS / 10).map(|n| json!({"title": format!("t{n}")})).collect();
            hive.post("/api/v2/tasks/bulk", &json!({"tasks": items}), 200).await?;
        }
        anyhow::Ok(())
    };
    let (_, one, two, three) = tokio::try_join!(feeding, work(1), work(2), work(3))?;
    let mut last = WorkerSocket::open(&hive, &agent, "?worker_instance=host-4").await?;
    last.ready(100).await?;
    let all = "/api/v2/queues/default";
    loop {
        let counts = hive.get(all).await?["tasks"].clone();
        if counts["queued"] == 0 && counts["working"] == 0 {
            break;
        }
        if let Ok(next) = tokio::time::timeout(Duration::from_millis(500), last.next()).await {
            let frame = next?.map_err(|end| anyhow::anyhow!("{end:?}"))?;
            if frame["type"] == "assignments" {
                let items = frame["items"].as_array().context("items")?;
                let items: Vec<Value> = items.iter().map(|work| about(work, &json!({}))).collect();
                last.send(&json!({"type": "complete", "items": items})).await?;
                last.ready(u32::try_from(items.len())?).await?;
            }
        }
    }
    ensure!(one + two + three > 100, "the sessions that break have done something: {one}, {two}, {three}");
    let counts = hive.get(all).await?["tasks"].clone();
    assert_eq!(counts["completed"], TASKS, "{counts}");
    let (mut completed, mut after) = (0, 0);
    loop {
        let page = hive.get(&format!("/api/v2/events?after={after}&limit=200")).await?;
        let items = page["items"].as_array().context("items")?;
        let Some(last) = items.last() else { break };
        after = last["seq"].as_i64().context("a seq")?;
        completed += items.iter().filter(|event| event["kind"] == "task.completed").count();
    }
    assert_eq!(completed, TASKS);
    Ok(())
}
