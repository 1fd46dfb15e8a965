//! How `hive serve` ends, in order and out of order, and what the next start finds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::watcher::Watcher;
use tests::{Hive, Options, PATIENCE};

use crate::cli::{bare, finish, run};
use crate::serve::{Beside, lines};

/// A submit whose body stops half way.
struct HalfSent {
    stream: TcpStream,
    rest: String,
}

impl HalfSent {
    /// Sends the first half, and waits until the hive holds it.
    async fn send(hive: &Hive) -> Result<Self> {
        let body = json!({"title": "half-sent", "labels": {"long": "x".repeat(200)}}).to_string();
        let (first, rest) = body.split_at(body.len() / 2);
        let mut stream = TcpStream::connect(hive.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST /api/v2/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
            hive.token,
            body.len()
        )?;
        let began = std::time::Instant::now();
        loop {
            let metrics = hive.request(Method::GET, "/metrics").send().await?.text().await?;
            let held = metrics.lines().find(|line| line.starts_with("hive_http_bodies_in_flight_bytes "));
            if held.is_some_and(|line| !line.ends_with(" 0")) {
                return Ok(Self { stream, rest: rest.to_owned() });
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "the hive never held the body: {metrics}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends the rest and reads the answer: its status, and the body.
    fn answer(mut self) -> Result<(u16, Value)> {
        self.stream.write_all(self.rest.as_bytes())?;
        let mut text = String::new();
        self.stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no answer: {text:?}"))?;
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        Ok((status, serde_json::from_str(body)?))
    }
}

/// Waits until the log says so.
async fn says(hive: &Hive, words: &str) -> Result<()> {
    let began = std::time::Instant::now();
    while !hive.log().contains(words) {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the log never said {words}: {}", hive.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test]
async fn sigterm_answers_what_is_under_way_ends_the_long_poll_empty_and_exits_0() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("ada", &["nothing-to-do"], 1).await?;
    hive.post("/api/v2/queues/default/pause", &json!({}), 200).await?;
    let half = HalfSent::send(&hive).await?;
    let stop = async {
        let seen = |agent: &Value| !agent["last_activity_at"].is_null();
        hive.until(&format!("/api/v2/agents/{agent}"), seen).await?;
        hive.signal(Signal::TERM)?;
        says(&hive, "\"draining\"").await
    };
    let (polled, stopped) = tokio::join!(hive.lease(&agent, 1, 30_000), stop);
    stopped?;
    assert_eq!(polled?, Vec::<Value>::new());
    let (status, task) = half.answer()?;
    assert!(status == 201 || status == 503 && task["code"] == "not_ready", "{status} {task}");
    assert_eq!(hive.ended().await?.code(), Some(0), "{}", hive.log());
    assert!(!hive.folder().join("server.json").exists());
    let late = lines(&hive.log())?.into_iter().find(|line| line["message"] == "actor did not stop in time");
    assert_eq!(late, None);

    let hive = Hive::start_with(options).await?;
    let tasks = hive.get("/api/v2/system").await?["tasks"]["total"].clone();
    assert_eq!(tasks, json!(u8::from(status == 201)));
    Ok(())
}

/// Submits until the hive does not take any more; answers what it acknowledged.
async fn submit_until_refused(hive: &Hive) -> Result<Vec<String>> {
    let mut acknowledged = Vec::new();
    loop {
        let request = hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": "t"}));
        let Ok(answer) = request.send().await else { return Ok(acknowledged) };
        let status = answer.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(acknowledged);
        }
        assert_eq!(status, StatusCode::CREATED);
        let Ok(task) = answer.json::<Value>().await else { return Ok(acknowledged) };
        acknowledged.push(task["id"].as_str().context("an id")?.to_owned());
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_sigterm_is_there_at_the_next_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let stop = async {
        hive.until("/api/v2/system", |system| system["tasks"]["total"].as_u64() > Some(50)).await?;
        hive.signal(Signal::TERM)
    };
    let (stopped, submitted) = tokio::join!(stop, join_all((0..8).map(|_| submit_until_refused(&hive))));
    stopped?;
    assert_eq!(hive.ended().await?.code(), Some(0), "{}", hive.log());
    let hive = Hive::start_with(options).await?;
    let mut count = 0;
    for ids in submitted {
        for id in ids? {
            assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["state"], "queued");
            count += 1;
        }
    }
    assert!(count > 50, "too little was submitted to prove anything: {count}");
    Ok(())
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once_with_130_and_loses_nothing() -> Result<()> {
    for (first, second) in [(Signal::INT, Signal::INT), (Signal::TERM, Signal::INT)] {
        let folder = tempfile::tempdir()?;
        let options =
            Options::default().folder(&folder.path().join("data")).set("HIVE__DRAIN__TIMEOUT_S", 600);
        let mut hive = Hive::start_with(options.clone()).await?;
        let task = hive.submit(&json!({"title": "kept"})).await?;
        let half = HalfSent::send(&hive).await?;
        hive.signal(first)?;
        says(&hive, "\"draining\"").await?;
        hive.signal(second)?;
        assert_eq!(hive.ended().await?.code(), Some(130), "{}", hive.log());
        assert!(hive.log().contains("again: ending at once"), "{}", hive.log());
        drop(half);
        let hive = Hive::start_with(options).await?;
        assert_eq!(hive.get(&format!("/api/v2/tasks/{task}")).await?["state"], "queued");
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_says_how_long_it_waits_and_how_many_tasks_are_at_work() -> Result<()> {
    let mut hive = Hive::start_with(Options::default().set("HIVE__DRAIN__TIMEOUT_S", 7)).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    hive.submit(&json!({"title": "t"})).await?;
    hive.lease(&agent, 1, 5_000).await?;
    let system = hive.get("/api/v2/system").await?;
    assert_eq!(system["tasks"]["working"], 1, "who was answered reads it, too");
    hive.signal(Signal::INT)?;
    assert_eq!(hive.ended().await?.code(), Some(0));
    let line =
        lines(&hive.log())?.into_iter().find(|line| line["message"] == "draining").context("a line")?;
    assert_eq!(
        (&line["signal"], &line["wait_s"], &line["working_tasks"]),
        (&json!("Ctrl-C"), &json!(7), &json!(1))
    );
    Ok(())
}

#[tokio::test]
async fn a_stop_in_order_warns_of_nothing() -> Result<()> {
    let mut hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    hive.submit(&json!({"title": "t"})).await?;
    hive.lease(&agent, 1, 5_000).await?;
    let mut watcher = Watcher::connect(&hive, "dashboard").await?;
    watcher.of_type("dashboard_initialized").await?;
    hive.signal(Signal::TERM)?;
    watcher.end().await?;
    assert_eq!(hive.ended().await?.code(), Some(0));
    let warnings = lines(&hive.log())?.into_iter().filter(|line| line["level"] != "INFO").collect::<Vec<_>>();
    assert_eq!(warnings, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_a_stop_longer_than_its_timeout() -> Result<()> {
    let mut hive = Hive::start_with(Options::default().set("HIVE__DRAIN__TIMEOUT_S", 1)).await?;
    let half = HalfSent::send(&hive).await?;
    assert_eq!(hive.terminate().await?.code(), Some(0), "{}", hive.log());
    drop(half);
    Ok(())
}

#[tokio::test]
async fn after_a_kill_a_stale_server_file_and_lock_do_not_stop_the_next_start() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let serve = || {
        let mut command = bare(&["serve", "--bind", "127.0.0.1:0"]);
        command.current_dir(parent.path());
        command
    };
    let system = || {
        let mut command = bare(&["task", "list"]);
        command.current_dir(parent.path());
        run(command)
    };
    let mut serving = Beside::start(serve(), &parent.path().join("first.log"))?;
    serving.says("the hive serves").await?;
    let mut submit = bare(&["task", "submit", "kept"]);
    submit.current_dir(parent.path());
    let task = run(submit)?.out;
    serving.signal(Signal::KILL)?;
    assert!(serving.ended().await.is_err(), "a signal ended it");
    assert!(
        parent.path().join("hive-data/server.json").exists()
            && parent.path().join("hive-data/hive.lock").exists()
    );
    assert_eq!(system()?.code, 3);
    let mut serving = Beside::start(serve(), &parent.path().join("second.log"))?;
    let text = serving.says("the hive serves").await?;
    assert!(text.contains("1 task found"), "{text}");
    let told = system()?;
    assert_eq!((told.code, told.out.contains(task.trim())), (0, true), "{}{}", told.out, told.err);
    Ok(())
}

/// All tasks; without the end of their leases, because a start gives every holder a whole lease to come back.
async fn tasks(hive: &Hive) -> Result<Vec<Value>> {
    let mut page = hive.get("/api/v2/tasks").await?;
    let tasks = page["items"].as_array_mut().context("tasks")?;
    for task in tasks.iter_mut() {
        let lease = task["lease_expires_at"].take();
        assert_eq!(lease.is_string(), task["state"] == "working", "{task}");
    }
    Ok(std::mem::take(tasks))
}

#[tokio::test]
async fn a_start_finds_tasks_in_every_state_after_a_stop_and_after_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("ada", &[], 2).await?;
    hive.submit(&json!({"title": "completed"})).await?;
    finish(&hive, &agent, "complete", json!({"result": {"n": 1}})).await?;
    hive.submit(&json!({"title": "failed"})).await?;
    let failed = json!({"error": {"kind": "x", "message": "y"}, "retryable": false});
    finish(&hive, &agent, "fail", failed).await?;
    hive.submit(&json!({"title": "working"})).await?;
    hive.lease(&agent, 1, 5_000).await?;
    hive.submit(&json!({"title": "queued", "requires": ["nobody-has-this"]})).await?;
    hive.submit(&json!({"title": "scheduled", "delay_ms": 3_600_000})).await?;
    let canceled = hive.submit(&json!({"title": "canceled", "delay_ms": 3_600_000})).await?;
    hive.post(&format!("/api/v2/tasks/{canceled}/cancel"), &json!({}), 200).await?;
    let before = tasks(&hive).await?;
    for task in &before {
        assert_eq!(task["state"], task["title"]);
    }
    assert_eq!(hive.terminate().await?.code(), Some(0));
    let mut hive = Hive::start_with(options.clone()).await?;
    assert_eq!(tasks(&hive).await?, before);
    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    assert_eq!(tasks(&hive).await?, before);
    let system = hive.get("/api/v2/system").await?;
    for state in ["scheduled", "queued", "working", "completed", "failed", "canceled"] {
        assert_eq!(system["tasks"][state], 1, "{state}");
    }
    Ok(())
}
