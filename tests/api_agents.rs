//! Agents and queues over HTTP: who is there, who gets what, how much of it, and what comes back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Hive, Options, expect};

use crate::api_tasks::{act, attempts, claim, each, failure, hasty, patch};

/// POSTs to an agent's route and expects 200.
async fn tell(hive: &Hive, agent: &str, verb: &str) -> Result<Value> {
    hive.post(&format!("/api/v2/agents/{agent}/{verb}"), &json!({}), 200).await
}

async fn when(hive: &Hive, agent: &str, state: &str) -> Result<Value> {
    hive.until(&format!("/api/v2/agents/{agent}"), |agent| agent["state"] == state).await
}

async fn delete(hive: &Hive, agent: &str, status: StatusCode) -> Result<Value> {
    expect(hive.request(Method::DELETE, &format!("/api/v2/agents/{agent}")).send().await?, status).await
}

/// Leases under a name of its own.
async fn lease_as(hive: &Hive, agent: &str, instance: &str, wait_ms: u64) -> Result<Vec<Value>> {
    let body = json!({"max": 10, "wait_ms": wait_ms, "worker_instance": instance});
    let answer = hive.post(&format!("/api/v2/agents/{agent}/lease"), &body, 200).await?;
    Ok(answer["assignments"].as_array().context("assignments")?.clone())
}

/// Titles of what is handed out, in no particular order.
fn titles(assignments: &[Value]) -> Vec<&str> {
    let mut titles: Vec<_> =
        assignments.iter().filter_map(|assignment| assignment["title"].as_str()).collect();
    titles.sort_unstable();
    titles
}

/// All that an agent can get now: it asks until it is told that there is nothing.
async fn all(hive: &Hive, agent: &str) -> Result<Vec<Value>> {
    let mut got = Vec::new();
    loop {
        let more = hive.lease(agent, 100, 400).await?;
        if more.is_empty() {
            return Ok(got);
        }
        got.extend(more);
    }
}

#[tokio::test]
async fn an_agent_is_registered_shown_changed_and_removed() -> Result<()> {
    let hive = Hive::start().await?;
    let asked = json!({"name": "coder-1", "role": "coder", "capabilities": ["rust", "git"], "capacity": 3,
        "labels": {"team": "a"}, "link": {"kind": "worker"}});
    let answer = hive.request(Method::POST, "/api/v2/agents").json(&asked).send().await?;
    let place = answer.headers()["location"].to_str()?.to_owned();
    let agent = expect(answer, StatusCode::CREATED).await?;
    let id = agent["id"].as_str().context("an id")?;
    assert_eq!(place, format!("/api/v2/agents/{id}"));
    assert_eq!(agent["capabilities"], json!(["git", "rust"]));
    assert_eq!(agent["success_rate"], Value::Null);
    assert_eq!(hive.get(&place).await?, agent);
    let usual = hive.agent("plain", &[], 1).await?;
    assert_eq!(json!(each(&hive.get("/api/v2/agents").await?, "id")), json!([usual, id]), "newest first");
    let page = hive.get("/api/v2/agents?limit=1").await?;
    let cursor = page["next_cursor"].as_str().context("more")?;
    assert_eq!(each(&hive.get(&format!("/api/v2/agents?limit=1&cursor={cursor}")).await?, "id"), [id]);
    let changes = json!({"role": "reviewer", "capabilities": ["go"], "capacity": 7, "labels": {}});
    let changed = patch(&hive, &place, &changes).await?;
    for (name, value) in changes.as_object().into_iter().flatten() {
        assert_eq!(&changed[name], value);
    }
    assert_eq!(patch(&hive, &place, &json!({"capacity": 2})).await?["role"], "reviewer", "the rest stays");
    assert_eq!(delete(&hive, id, StatusCode::NO_CONTENT).await?, Value::Null);
    expect(hive.request(Method::GET, &place).send().await?, StatusCode::NOT_FOUND).await?;
    assert_eq!(delete(&hive, id, StatusCode::NOT_FOUND).await?["code"], "not_found");
    assert_eq!(each(&hive.get("/api/v2/agents").await?, "id"), [usual]);
    Ok(())
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_again_when_its_agent_is_gone() -> Result<()> {
    let hive = Hive::start().await?;
    let first = hive.agent("only", &[], 1).await?;
    let taken = hive.post("/api/v2/agents", &json!({"name": "only"}), 409).await?;
    assert_eq!(taken["code"], "unique_conflict");
    delete(&hive, &first, StatusCode::NO_CONTENT).await?;
    assert_ne!(hive.agent("only", &[], 1).await?, first);
    Ok(())
}

#[tokio::test]
async fn nobody_leases_for_an_agent_that_is_not_there() -> Result<()> {
    let hive = Hive::start().await?;
    let gone = hive.agent("gone", &[], 1).await?;
    hive.submit(&json!({"title": "t"})).await?;
    delete(&hive, &gone, StatusCode::NO_CONTENT).await?;
    for id in [gone.as_str(), "agent_0000000000000", "nonsense"] {
        for verb in ["lease", "drain", "resume", "restart"] {
            let problem = hive.post(&format!("/api/v2/agents/{id}/{verb}"), &json!({}), 404).await?;
            assert_eq!(problem["code"], "not_found", "{id} {verb}");
        }
    }
    let pinned = hive.post("/api/v2/tasks", &json!({"title": "t", "agent_id": gone}), 422).await?;
    assert_eq!(each(&json!({"items": pinned["errors"]}), "field"), ["agent_id"]);
    Ok(())
}

#[tokio::test]
async fn what_an_agent_works_on_may_be_finished_after_the_agent_is_removed() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("leaving", &[], 1).await?;
    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    delete(&hive, &agent, StatusCode::NO_CONTENT).await?;
    act(&hive, &id, "heartbeat", &json!({"attempt": 1}), 200).await?;
    assert_eq!(act(&hive, &id, "complete", &json!({"attempt": 1}), 200).await?["state"], "completed");
    Ok(())
}

#[tokio::test]
async fn a_draining_agent_gets_nothing_new_and_finishes_what_it_holds() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("tired", &[], 5).await?;
    let held = hive.submit(&json!({"title": "held"})).await?;
    claim(&hive, &agent).await?;
    // A call that waits ends when draining begins, long before its 30 s.
    let (waited, drained) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(20), lease_as(&hive, &agent, "waits", 30_000)),
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tell(&hive, &agent, "drain").await
        }
    );
    assert_eq!((waited??, &drained?["state"]), (vec![], &json!("draining")));
    hive.submit(&json!({"title": "new"})).await?;
    assert_eq!(hive.lease(&agent, 5, 300).await?, Vec::<Value>::new());
    act(&hive, &held, "heartbeat", &json!({"attempt": 1}), 200).await?;
    act(&hive, &held, "complete", &json!({"attempt": 1}), 200).await?;
    assert_eq!(tell(&hive, &agent, "drain").await?["state"], "draining", "a repeat answers the same");
    tell(&hive, &agent, "resume").await?;
    assert_eq!(claim(&hive, &agent).await?["title"], "new");
    when(&hive, &agent, "working").await?;
    Ok(())
}

#[tokio::test]
async fn capabilities_and_pins_decide_who_gets_what() -> Result<()> {
    let hive = Hive::start().await?;
    let plain = hive.agent("plain", &[], 10).await?;
    let rusty = hive.agent("rusty", &["rust"], 10).await?;
    let both = hive.agent("both", &["go", "rust"], 10).await?;
    let tasks = [
        json!({"title": "both", "requires": ["rust", "go"]}),
        json!({"title": "nobody", "requires": ["rust", "cobol"]}),
        json!({"title": "pinned", "agent_id": both}),
        json!({"title": "pinned-wrongly", "agent_id": plain, "requires": ["rust"]}),
        json!({"title": "rust", "requires": ["rust"]}),
    ];
    for task in &tasks {
        hive.submit(task).await?;
    }
    assert_eq!(titles(&all(&hive, &plain).await?), Vec::<&str>::new());
    assert_eq!(titles(&all(&hive, &rusty).await?), ["rust"]);
    assert_eq!(titles(&all(&hive, &both).await?), ["both", "pinned"]);
    patch(&hive, &format!("/api/v2/agents/{plain}"), &json!({"capabilities": ["cobol", "rust"]})).await?;
    assert_eq!(titles(&all(&hive, &plain).await?), ["nobody", "pinned-wrongly"], "with what it can do now");
    Ok(())
}

#[tokio::test]
async fn an_agent_never_holds_more_than_its_capacity_however_many_workers_ask() -> Result<()> {
    let hive = Hive::start().await?;
    for number in 0..20 {
        hive.submit(&json!({"title": format!("{number}")})).await?;
    }
    let agent = hive.agent("narrow", &[], 3).await?;
    let calls = (0..8).map(|worker| {
        let (hive, agent) = (&hive, &agent);
        async move { lease_as(hive, agent, &format!("worker-{worker}"), 500).await }
    });
    let got: Vec<_> = futures_util::future::try_join_all(calls).await?.concat();
    assert_eq!(got.len(), 3);
    hive.until(&format!("/api/v2/agents/{agent}"), |agent| agent["working"] == 3).await?;
    let first = got[0]["task_id"].as_str().context("an id")?;
    act(&hive, first, "complete", &json!({"attempt": 1}), 200).await?;
    assert_eq!(all(&hive, &agent).await?.len(), 1, "one place was free");
    patch(&hive, &format!("/api/v2/agents/{agent}"), &json!({"capacity": 5})).await?;
    assert_eq!(all(&hive, &agent).await?.len(), 2, "two places more");
    // A submit that finds a waiting worker is given to it at once, but not beyond the capacity either.
    patch(&hive, &format!("/api/v2/agents/{agent}"), &json!({"capacity": 1})).await?;
    hive.submit(&json!({"title": "late"})).await?;
    assert_eq!(all(&hive, &agent).await?.len(), 0, "it holds five of one");
    Ok(())
}

#[tokio::test]
async fn a_newer_call_of_the_same_worker_ends_the_older_one_and_no_other() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("busy", &[], 10).await?;
    let older = tokio::time::timeout(Duration::from_secs(20), lease_as(&hive, &agent, "w1", 30_000));
    let (older, other, newer) = tokio::join!(older, lease_as(&hive, &agent, "w2", 30_000), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let newer = lease_as(&hive, &agent, "w1", 100).await?;
        hive.submit(&json!({"title": "t"})).await?;
        anyhow::Ok(newer)
    });
    assert_eq!((older??, newer?), (vec![], vec![]));
    assert_eq!(titles(&other?), ["t"], "the other worker waits on");
    Ok(())
}

#[tokio::test]
async fn a_silent_agent_is_offline_and_back_with_its_next_lease() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__AGENTS__OFFLINE_AFTER_MS", 1_000)).await?;
    let agent = hive.agent("silent", &[], 1).await?;
    hive.lease(&agent, 1, 0).await?;
    when(&hive, &agent, "idle").await?;
    let gone = when(&hive, &agent, "offline").await?;
    hive.until("/api/v2/system", |system| system["agents"]["offline"] == 1).await?;
    hive.lease(&agent, 1, 0).await?;
    let back = when(&hive, &agent, "idle").await?;
    assert!(back["last_activity_at"].as_str() > gone["last_activity_at"].as_str(), "{gone} {back}");
    let events = hive.get("/api/v2/events?limit=200").await?;
    let changes = events["items"].as_array().into_iter().flatten();
    let changes =
        changes.filter(|event| event["kind"] == "agent.state_changed" && event["agent_id"] == *agent);
    let healths: Vec<_> = changes.map(|event| event["data"]["health"].clone()).collect();
    assert_eq!(healths, ["active", "offline", "active"]);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_lives_but_does_not_get_on_is_stalled_until_it_does() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__AGENTS__STALLED_AFTER_MS", 1_000)).await?;
    let agent = hive.agent("stuck", &[], 1).await?;
    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    when(&hive, &agent, "working").await?;
    let began = std::time::Instant::now();
    while hive.get(&format!("/api/v2/agents/{agent}")).await?["state"] != "stalled" {
        ensure!(began.elapsed() < tests::PATIENCE, "it was never stalled");
        act(&hive, &id, "heartbeat", &json!({"attempt": 1}), 200).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while hive.get(&format!("/api/v2/agents/{agent}")).await?["state"] != "working" {
        ensure!(began.elapsed() < tests::PATIENCE, "it never got on");
        act(&hive, &id, "heartbeat", &json!({"attempt": 1, "progress": 0.5}), 200).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn an_agents_figures_follow_from_what_it_did() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("counted", &[], 10).await?;
    for number in 0..5 {
        let id = hive.submit(&json!({"title": "t", "attempts_max": 1})).await?;
        claim(&hive, &agent).await?;
        let error = json!({"attempt": 1, "error": {"kind": "boom", "message": ""}});
        match number {
            0 => act(&hive, &id, "fail", &error, 200).await?,
            1..4 => act(&hive, &id, "complete", &json!({"attempt": 1}), 200).await?,
            _ => Value::Null,
        };
    }
    let figures =
        |agent: &Value| json!([agent["working"], agent["completed"], agent["failed"], agent["success_rate"]]);
    let shown = hive
        .until(&format!("/api/v2/agents/{agent}"), |agent| figures(agent) == json!([1, 3, 1, 0.75]))
        .await?;
    assert_eq!(shown["state"], "working");
    assert_eq!(
        figures(&hive.get("/api/v2/agents").await?["items"][0]),
        json!([1, 3, 1, 0.75]),
        "in the list as well"
    );
    Ok(())
}

#[tokio::test]
async fn a_restarted_agent_begins_anew_and_keeps_what_it_works_on() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("shaky", &[], 2).await?;
    let held = hive.submit(&json!({"title": "held"})).await?;
    claim(&hive, &agent).await?;
    let (waited, restarted) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(20), lease_as(&hive, &agent, "waits", 30_000)),
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tell(&hive, &agent, "restart").await
        }
    );
    assert_eq!((waited??, &restarted?["id"]), (vec![], &json!(agent)), "a call that waits ends");
    act(&hive, &held, "heartbeat", &json!({"attempt": 1}), 200).await?;
    hive.submit(&json!({"title": "next"})).await?;
    assert_eq!(claim(&hive, &agent).await?["title"], "next", "its one free place");
    hive.submit(&json!({"title": "too many"})).await?;
    assert_eq!(all(&hive, &agent).await?.len(), 0);
    let actors = hive.get(&format!("/api/v2/system/actors?prefix=hive/agents/{agent}")).await?;
    assert_eq!(each(&actors, "state"), ["running"], "{actors}");
    Ok(())
}

#[tokio::test]
async fn a_paused_queue_hands_out_nothing_until_it_is_resumed() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("idle", &[], 10).await?;
    let paused = hive.post("/api/v2/queues/red/pause", &json!({}), 200).await?;
    assert_eq!((&paused["name"], &paused["paused"]), (&json!("red"), &json!(true)));
    hive.submit(&json!({"title": "held back", "queue": "red"})).await?;
    hive.submit(&json!({"title": "free"})).await?;
    assert_eq!(titles(&all(&hive, &agent).await?), ["free"]);
    hive.post("/api/v2/queues/red/pause", &json!({}), 200).await?;
    // A worker that waits already gets it as soon as the queue is resumed.
    let (got, resumed) = tokio::join!(claim(&hive, &agent), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        hive.post("/api/v2/queues/red/resume", &json!({}), 200).await
    });
    assert_eq!((&got?["title"], &resumed?["paused"]), (&json!("held back"), &json!(false)));
    Ok(())
}

#[tokio::test]
async fn queues_count_their_tasks_by_state_and_priority() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("worker", &[], 10).await?;
    let held = hive.submit(&json!({"title": "held", "queue": "b"})).await?;
    claim(&hive, &agent).await?;
    for (priority, delay_ms) in [(0, 0), (9, 0), (9, 0), (3, 3_600_000)] {
        hive.submit(&json!({"title": "t", "queue": "b", "priority": priority, "delay_ms": delay_ms})).await?;
    }
    let expected = json!({"scheduled": 1, "queued": 3, "working": 1, "completed": 0, "failed": 0, "canceled": 0, "total": 5});
    let shown = hive.until("/api/v2/queues/b", |queue| queue["tasks"] == expected).await?;
    assert_eq!(shown["queued_by_priority"], json!([1, 0, 0, 0, 0, 0, 0, 0, 0, 2]));
    act(&hive, &held, "complete", &json!({"attempt": 1}), 200).await?;
    hive.until("/api/v2/queues/b", |queue| {
        queue["tasks"]["completed"] == 1 && queue["tasks"]["working"] == 0
    })
    .await?;
    hive.post("/api/v2/queues/a/pause", &json!({}), 200).await?;
    assert_eq!(each(&hive.get("/api/v2/queues").await?, "name"), ["a", "b", "default"]);
    let page = hive.get("/api/v2/queues?limit=1").await?;
    assert_eq!((each(&page, "paused"), &page["next_cursor"]), (vec![json!(true)], &json!("a")));
    assert_eq!(each(&hive.get("/api/v2/queues?limit=1&cursor=a").await?, "name"), ["b"]);
    let missing = hive.request(Method::GET, "/api/v2/queues/nowhere").send().await?;
    assert_eq!(expect(missing, StatusCode::NOT_FOUND).await?["code"], "not_found");
    Ok(())
}

#[tokio::test]
async fn a_repeated_report_answers_the_same_and_the_opposite_one_is_refused() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("insistent", &[], 1).await?;
    let id = hive.submit(&hasty("t", 2)).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "fail", &failure(1), 200).await?;
    claim(&hive, &agent).await?;
    assert_eq!(act(&hive, &id, "fail", &failure(1), 200).await?["state"], "working", "as it stands now");
    let done = json!({"attempt": 2, "result": 1});
    let first = act(&hive, &id, "complete", &done, 200).await?;
    assert_eq!(act(&hive, &id, "complete", &done, 200).await?, first);
    assert_eq!(act(&hive, &id, "complete", &json!({"attempt": 1}), 409).await?["code"], "stale_lease");
    assert_eq!(act(&hive, &id, "fail", &failure(2), 409).await?["code"], "stale_lease");
    assert_eq!(each(&attempts(&hive, &id).await?, "outcome"), ["succeeded", "failed"], "nothing was added");
    Ok(())
}

#[tokio::test]
async fn many_reports_in_one_call_are_answered_one_by_one_in_their_order() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("batch", &[], 10).await?;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(hive.submit(&json!({"title": format!("{number}"), "attempts_max": 1})).await?);
    }
    ensure!(all(&hive, &agent).await?.len() == 4);
    let error = json!({"kind": "boom", "message": "m"});
    let items = json!([
        {"task_id": ids[0], "attempt": 1, "result": {"ok": true}, "usage": {"cpu_ms": 5}},
        {"task_id": ids[1], "attempt": 1, "error": error, "retryable": false},
        {"task_id": ids[2], "attempt": 2},
        {"task_id": "task_0000000000000", "attempt": 1},
        {"task_id": "nonsense", "attempt": 1},
        {"task_id": ids[3], "attempt": 1, "error": error, "result": 1},
        {"task_id": ids[0], "attempt": 1, "result": {"ok": true}},
        {"task_id": ids[3], "attempt": 0},
    ]);
    let answer = hive.post("/api/v2/leases/complete", &json!({"items": items}), 200).await?;
    assert_eq!(each(&answer, "status"), [200, 200, 409, 404, 404, 422, 200, 422]);
    assert_eq!(each(&answer, "task_id"), each(&json!({"items": items}), "task_id"));
    assert_eq!(each(&answer, "attempt"), [1, 1, 2, 1, 1, 1, 1, 0]);
    assert_eq!(json!(each(&answer, "state")[..2]), json!(["completed", "failed"]));
    let problems = each(&answer, "problem");
    let codes: Vec<_> = problems.iter().map(|problem| problem["code"].clone()).collect();
    let invalid = json!("invalid_value");
    assert_eq!(
        json!(codes),
        json!([null, null, "stale_lease", "not_found", "not_found", invalid, null, invalid])
    );
    assert_eq!(problems[5]["errors"][0]["field"], "result");
    let shown = hive.get(&format!("/api/v2/tasks/{}", ids[0])).await?;
    assert_eq!((&shown["result"], &shown["usage"]), (&json!({"ok": true}), &json!({"cpu_ms": 5})));
    assert_eq!(hive.get(&format!("/api/v2/tasks/{}", ids[3])).await?["state"], "working", "untouched");
    for count in [0, 1_001] {
        let items = vec![json!({"task_id": ids[3], "attempt": 9}); count];
        let problem = hive.post("/api/v2/leases/complete", &json!({"items": items}), 422).await?;
        assert_eq!(problem["errors"][0]["field"], "items");
    }
    Ok(())
}

#[tokio::test]
async fn output_is_kept_piece_by_piece_and_cut_between_characters_at_its_limit() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LIMITS__OUTPUT_BYTES", 1_024)).await?;
    let agent = hive.agent("talker", &[], 1).await?;
    let id = hive.submit(&hasty("t", 3)).await?;
    claim(&hive, &agent).await?;
    let say = async |attempt: u32, text: &str| {
        act(&hive, &id, "output", &json!({"attempt": attempt, "text": text}), 200).await
    };
    assert_eq!(say(1, "first 😀\n").await?, json!({"stored_bytes": 11, "truncated": false}));
    act(&hive, &id, "fail", &failure(1), 200).await?;
    claim(&hive, &agent).await?;
    assert_eq!(say(2, &"x".repeat(1_021)).await?, json!({"stored_bytes": 1_021, "truncated": false}));
    assert_eq!(say(2, "ää").await?, json!({"stored_bytes": 1_023, "truncated": true}));
    assert_eq!(say(2, "more").await?, json!({"stored_bytes": 1_023, "truncated": true}));
    let path = format!("/api/v2/tasks/{id}/output");
    let all = hive.get(&path).await?;
    let places: Vec<_> = each(&all, "attempt").into_iter().zip(each(&all, "chunk")).collect();
    assert_eq!(json!(places), json!([[1, 1], [2, 1], [2, 2]]));
    assert_eq!((&all["items"][0]["text"], &all["items"][2]["text"]), (&json!("first 😀\n"), &json!("ä")));
    assert_eq!(each(&all, "truncated"), [false, false, true]);
    let page = hive.get(&format!("{path}?limit=1")).await?;
    let cursor = page["next_cursor"].as_str().context("more")?;
    assert_eq!(each(&hive.get(&format!("{path}?cursor={cursor}")).await?, "attempt"), [2, 2]);
    Ok(())
}

#[tokio::test]
async fn progress_is_shown_while_an_attempt_works() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("eager", &[], 1).await?;
    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    for (said, fraction, message) in [
        (json!({"attempt": 1, "progress": 0.25, "message": "läuft"}), json!(0.25), json!("läuft")),
        (json!({"attempt": 1}), json!(0.25), json!("läuft")),
        (json!({"attempt": 1, "progress": 1.0}), json!(1.0), Value::Null),
    ] {
        act(&hive, &id, "heartbeat", &said, 200).await?;
        let shown = hive.get(&format!("/api/v2/tasks/{id}")).await?["progress"].clone();
        assert_eq!((&shown["fraction"], &shown["message"]), (&fraction, &message), "after {said}");
    }
    act(&hive, &id, "complete", &json!({"attempt": 1}), 200).await?;
    assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["progress"], Value::Null);
    Ok(())
}
