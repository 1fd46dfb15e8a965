//! Fault drills in the production tree: any part may panic under load, and nobody outside sees more than a 503.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hive::serve::{Running, start};
use hive::settings::{Flags, Settings};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use supervision::Fault;

const CLIENTS: usize = 64;

/// What all clients saw together.
#[derive(Default)]
struct Seen {
    accepted: RefCell<Vec<String>>,
    refused: Cell<u32>,
    slowest: Cell<Duration>,
    wrong: RefCell<Vec<String>>,
    is_over: Cell<bool>,
}

struct Rig {
    running: Running,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let flags = Flags {
            config: None,
            database_url: None,
            data_dir: Some(folder.path().join("data")),
            bind: Some("127.0.0.1:0".to_owned()),
        };
        let settings = Settings::load(&flags, std::iter::empty())?;
        let running = start(settings).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        Ok(Self { running, client: Client::new(), _folder: folder })
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let request = self.client.request(method, format!("{}{path}", self.running.url));
        let answer = request.bearer_auth(self.running.admin_token.reveal()).json(body).send().await?;
        Ok((answer.status(), serde_json::from_str(&answer.text().await?)?))
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let (status, answer) = self.call(reqwest::Method::GET, path, &Value::Null).await?;
        ensure!(status == StatusCode::OK, "{path} answered {status}: {answer}");
        Ok(answer)
    }

    async fn submit_until_over(&self, seen: Rc<Seen>) {
        while !seen.is_over.get() {
            let began = Instant::now();
            let body = json!({"title": "drill", "requires": ["nobody-has-this"]});
            let outcome = self.call(reqwest::Method::POST, "/api/v2/tasks", &body).await;
            seen.slowest.set(seen.slowest.get().max(began.elapsed()));
            match outcome {
                Ok((StatusCode::CREATED, task)) => {
                    let id = task["id"].as_str().unwrap_or_default().to_owned();
                    seen.accepted.borrow_mut().push(id);
                }
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => seen.refused.set(seen.refused.get() + 1),
                Ok((status, answer)) => seen.wrong.borrow_mut().push(format!("{status}: {answer}")),
                Err(error) => seen.wrong.borrow_mut().push(error.to_string()),
            }
        }
    }

    /// An agent with an assignment that it holds, and the paths of both their actors.
    async fn held(&self) -> Result<(String, String)> {
        let agent = json!({"name": "victim", "role": "worker", "capacity": 5, "link": {"kind": "worker"}});
        let (status, agent) = self.call(reqwest::Method::POST, "/api/v2/agents", &agent).await?;
        ensure!(status == StatusCode::CREATED, "{agent}");
        let agent = agent["id"].as_str().context("an id")?.to_owned();
        self.call(reqwest::Method::POST, "/api/v2/tasks", &json!({"title": "held"})).await?;
        let call = json!({"max": 1, "wait_ms": 5_000});
        let path = format!("/api/v2/agents/{agent}/lease");
        let leased = self.call(reqwest::Method::POST, &path, &call).await?.1;
        let task = leased["assignments"][0]["task_id"].as_str().context("an assignment")?;
        Ok((format!("hive/agents/{agent}"), format!("hive/tasks/{task}:1")))
    }

    /// The actor at `path`, once it runs and has been restarted `restarts` times.
    async fn restarted(&self, path: &str, restarts: u64) -> Result<Value> {
        let began = Instant::now();
        loop {
            let actors = self.get(&format!("/api/v2/system/actors?prefix={path}")).await?;
            let there =
                actors["items"].as_array().context("items")?.iter().find(|actor| actor["path"] == path);
            if let Some(actor) =
                there.filter(|actor| actor["state"] == "running" && actor["restarts"] == restarts)
            {
                return Ok(actor.clone());
            }
            ensure!(
                began.elapsed() < tests::PATIENCE,
                "{path} was not restarted {restarts} times: {there:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn drill(rig: &Rig, seen: &Seen) -> Result<()> {
    let (agent, task) = rig.held().await?;
    let victims = [
        "hive/coordinator",
        "hive/feed",
        "hive/writer",
        "hive/janitors/stager",
        "hive/janitors/reaper",
        agent.as_str(),
        task.as_str(),
    ];
    for path in victims {
        for (restarts, fault) in [(1, Fault::PanicInHandler), (2, Fault::PanicInFuture)] {
            rig.running.registry.inject(path, fault)?;
            let actor = rig.restarted(path, restarts).await?;
            let error = actor["last_error"]["text"].as_str().unwrap_or_default().to_owned();
            ensure!(error.contains("fault drill"), "{path} says why: {error}");
            // Submits go on before the next part fails.
            let before = seen.accepted.borrow().len();
            let began = Instant::now();
            while seen.accepted.borrow().len() < before + CLIENTS {
                ensure!(began.elapsed() < tests::PATIENCE, "nothing is accepted after {path} failed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    Ok(())
}

#[actix_rt::test]
async fn slow_any_part_may_panic_under_sixty_four_clients_and_every_submit_is_answered_201_or_503()
-> Result<()> {
    let rig = Rig::start().await?;
    let seen = Rc::new(Seen::default());
    let clients =
        futures_util::future::join_all((0..CLIENTS).map(|_| rig.submit_until_over(Rc::clone(&seen))));
    let drills = async {
        let outcome = drill(&rig, &seen).await;
        seen.is_over.set(true);
        outcome
    };
    let (_, outcome) = tokio::join!(clients, drills);
    outcome?;

    assert_eq!(*seen.wrong.borrow(), Vec::<String>::new(), "nothing but 201 and 503");
    assert!(seen.slowest.get() < Duration::from_secs(1), "the slowest answer took {:?}", seen.slowest.get());
    let accepted = seen.accepted.borrow().clone();
    let began = Instant::now();
    loop {
        let queued = rig.get("/api/v2/system").await?["tasks"]["queued"].as_u64().context("a count")?;
        // A 503 may hide a task that was stored after all; an acknowledged one is never missing.
        if queued >= u64::try_from(accepted.len())? {
            break;
        }
        ensure!(
            began.elapsed() < tests::PATIENCE,
            "{queued} of {} acknowledged tasks are there",
            accepted.len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for id in accepted.iter().step_by(97) {
        assert_eq!(rig.get(&format!("/api/v2/tasks/{id}")).await?["state"], "queued");
    }
    let actors = rig.get("/api/v2/system/actors").await?;
    assert_eq!(actors["restarts_total"], 14);
    rig.running.shutdown().await;
    Ok(())
}

/// The most tasks of the queue and of one agent that were worked on at a time, as the log has it.
async fn most_at_work(rig: &Rig) -> Result<(usize, usize)> {
    let mut working: HashMap<String, String> = HashMap::new();
    let (mut most, mut most_of_one, mut after) = (0, 0, 0);
    loop {
        let page = rig.get(&format!("/api/v2/events?after={after}&limit=1000")).await?;
        let events = page["items"].as_array().context("items")?;
        let Some(last) = events.last() else { return Ok((most, most_of_one)) };
        after = last["seq"].as_i64().context("a seq")?;
        for event in events {
            let Some(task) = event["task_id"].as_str() else { continue };
            if event["kind"] == "task.started" {
                let agent = event["agent_id"].as_str().context("an agent")?;
                working.insert(task.to_owned(), agent.to_owned());
                most = most.max(working.len());
                most_of_one = most_of_one.max(working.values().filter(|other| *other == agent).count());
            } else if event["kind"] == "task.completed" || event["kind"] == "task.released" {
                working.remove(task);
            }
        }
    }
}

#[actix_rt::test]
async fn slow_the_limits_of_queue_and_agents_hold_while_the_coordinator_panics_again_and_again() -> Result<()>
{
    let rig = Rig::start().await?;
    let limit = json!({"concurrency_limit": 5});
    rig.call(reqwest::Method::PUT, "/api/v2/queues/default", &limit).await?;
    let mut agents = Vec::new();
    for name in ["one", "two", "three"] {
        let agent = json!({"name": name, "role": "worker", "capacity": 2, "link": {"kind": "worker"}});
        let agent = rig.call(reqwest::Method::POST, "/api/v2/agents", &agent).await?.1;
        agents.push(agent["id"].as_str().context("an id")?.to_owned());
    }
    let is_over = Cell::new(false);
    let (submitted, completed) = (Cell::new(0), Cell::new(0));
    // A panic is a 503 or a lease call without work: all of them just ask again.
    let submits = async {
        while !is_over.get() {
            let tasks = vec![json!({"title": "drill"}); 20];
            let told =
                rig.call(reqwest::Method::POST, "/api/v2/tasks/bulk", &json!({"tasks": tasks})).await?;
            submitted.set(submitted.get() + usize::from(told.0 == StatusCode::OK));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    let work = futures_util::future::try_join_all(agents.iter().cycle().take(9).map(async |agent| {
        let path = format!("/api/v2/agents/{agent}/lease");
        while !is_over.get() {
            let leased = rig.call(reqwest::Method::POST, &path, &json!({"max": 2, "wait_ms": 100})).await?.1;
            for assignment in leased["assignments"].as_array().into_iter().flatten() {
                let path =
                    format!("/api/v2/tasks/{}/complete", assignment["task_id"].as_str().context("an id")?);
                let report = json!({"attempt": assignment["attempt"], "result": null});
                let told = rig.call(reqwest::Method::POST, &path, &report).await?;
                completed.set(completed.get() + usize::from(told.0 == StatusCode::OK));
            }
        }
        anyhow::Ok(())
    }));
    let drills = async {
        for restarts in 1..=12 {
            let before = completed.get();
            let began = Instant::now();
            while completed.get() < before + 40 {
                ensure!(began.elapsed() < tests::PATIENCE, "nothing is completed after {restarts} panics");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            rig.running.registry.inject("hive/coordinator", Fault::PanicInHandler)?;
            rig.restarted("hive/coordinator", restarts).await?;
        }
        is_over.set(true);
        Ok(())
    };
    tokio::try_join!(submits, work, drills)?;
    let (most, most_of_one) = most_at_work(&rig).await?;
    assert_eq!((most, most_of_one), (5, 2), "the limit of the queue, and what one agent takes");
    rig.running.shutdown().await;
    Ok(())
}
