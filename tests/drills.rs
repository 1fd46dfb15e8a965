//! Fault drills in the production tree: any part may panic under load, and nobody outside sees more than a 503.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
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
    folder: tempfile::TempDir,
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
        Ok(Self { running, client: Client::new(), folder })
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

    /// What a path answers, once it `holds`.
    async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await?;
            if holds(&answer) {
                return Ok(answer);
            }
            ensure!(began.elapsed() < tests::PATIENCE, "{path} answers {answer}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What a metric shows; `name` with its labels.
    async fn metric(&self, name: &str) -> Result<u32> {
        let metrics = self.client.get(format!("{}/metrics", self.running.url)).send().await?.text().await?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no {name}"))?.parse()?)
    }

    /// How many commands wait for the writer, those in its hands not counted.
    async fn waiting_for_the_writer(&self) -> Result<u32> {
        self.metric("hive_writer_queue_commands").await
    }

    /// Completes the first assignment of a lease call's answer.
    async fn completed(&self, leased: &Value) -> Result<()> {
        let assignment = &leased["assignments"][0];
        let path = format!("/api/v2/tasks/{}/complete", assignment["task_id"].as_str().context("an id")?);
        let report = json!({"attempt": assignment["attempt"]});
        let (status, answer) = self.call(reqwest::Method::POST, &path, &report).await?;
        ensure!(status == StatusCode::OK, "{path} answered {status}: {answer}");
        Ok(())
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

/// A shell that has the database to itself: nothing is committed while it lives.
struct Alone(std::process::Child);

impl Alone {
    fn take(rig: &Rig) -> Result<Self> {
        let mut shell = std::process::Command::new("sqlite3")
            // so that it ends when it does not get the database
            .arg("-bail")
            .arg(rig.folder.path().join("data/hive.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = shell.stdin.as_mut().context("stdin")?;
        stdin.write_all(b".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'mine';\n")?;
        let mut said = String::new();
        BufReader::new(shell.stdout.as_mut().context("stdout")?).read_line(&mut said)?;
        ensure!(said == "mine\n", "the shell said {said:?}");
        Ok(Self(shell))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test waits for each of them itself")]
#[actix_rt::test]
async fn a_slot_whose_claim_waits_for_the_disk_is_not_given_away_again_by_a_coordinator_that_panicked()
-> Result<()> {
    let rig = Rc::new(Rig::start().await?);
    let agent = json!({"name": "single", "role": "worker", "capacity": 1, "link": {"kind": "worker"}});
    let agent = rig.call(reqwest::Method::POST, "/api/v2/agents", &agent).await?.1;
    let agent = agent["id"].as_str().context("an id")?.to_owned();
    let lease = || {
        let (rig, path) = (Rc::clone(&rig), format!("/api/v2/agents/{agent}/lease"));
        let call = json!({"max": 1, "wait_ms": 30_000});
        actix_rt::spawn(async move { rig.call(reqwest::Method::POST, &path, &call).await })
    };
    let submit = || {
        let (rig, task) = (Rc::clone(&rig), json!({"title": "drill"}));
        actix_rt::spawn(async move { rig.call(reqwest::Method::POST, "/api/v2/tasks", &task).await })
    };
    // The first task of its sort waits for a plan; from then on a free slot has the next one at its submit.
    submit().await??;
    rig.completed(&lease().await??.1).await?;
    // Two calls, so that a second claim would find somebody who takes it.
    let waiting = [lease(), lease()];
    // Long enough for them to be known; without it the drill would show nothing.
    tokio::time::sleep(Duration::from_millis(200)).await;

    let alone = Alone::take(&rig)?;
    // The first to come has the slot; the writer has it in its hands as soon as another one waits.
    let mut submits = vec![submit()];
    while rig.waiting_for_the_writer().await? == 0 {
        submits.push(submit());
        ensure!(submits.len() < 100, "nothing waits for the writer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.running.registry.inject("hive/coordinator", Fault::PanicInHandler)?;
    rig.restarted("hive/coordinator", 1).await?;
    // Long enough for books that wait for nothing, and for a submit to pass.
    tokio::time::sleep(Duration::from_millis(300)).await;
    submits.push(submit());
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(alone);

    // The one of the beginning, which is done.
    let (mut accepted, mut refused) = (1, 0);
    for submit in submits {
        let (status, answer) = submit.await??;
        match status {
            StatusCode::CREATED => accepted += 1,
            // The disk kept it waiting too long: it is stored only if the writer had it in its hands already.
            StatusCode::SERVICE_UNAVAILABLE => refused += 1,
            _ => bail!("a submit was answered {status}: {answer}"),
        }
    }
    let are_stored = |system: &Value| {
        let tasks = &system["tasks"];
        tasks["total"].as_u64() >= Some(accepted) && tasks["working"] != 0
    };
    let system = rig.until("/api/v2/system", are_stored).await?;
    assert_eq!(system["tasks"]["working"], 1, "{system}");
    assert!(system["tasks"]["total"].as_u64() <= Some(accepted + refused), "{refused} refused: {system}");
    waiting.iter().for_each(actix_rt::task::JoinHandle::abort);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the test waits for each of them itself")]
#[actix_rt::test]
async fn slow_submits_that_nobody_waits_for_any_more_cost_no_rebuild() -> Result<()> {
    const REBUILDS: &str = "hive_rebuilds_total{part=\"coordinator\"}";
    let rig = Rc::new(Rig::start().await?);
    let agent = json!({"name": "single", "role": "worker", "capacity": 50, "link": {"kind": "worker"}});
    let agent = rig.call(reqwest::Method::POST, "/api/v2/agents", &agent).await?.1;
    let id = agent["id"].as_str().with_context(|| agent.to_string())?;
    let lease = format!("/api/v2/agents/{id}/lease");
    let submit = || {
        let (rig, task) = (Rc::clone(&rig), json!({"title": "drill"}));
        actix_rt::spawn(async move { rig.call(reqwest::Method::POST, "/api/v2/tasks", &task).await })
    };
    // The first task of its sort waits for a plan; from then on a free slot has the next one at its submit.
    submit().await??;
    let call = json!({"max": 50, "wait_ms": 30_000});
    rig.completed(&rig.call(reqwest::Method::POST, &lease, &call).await?.1).await?;
    let before = rig.metric(REBUILDS).await?;
    let waiting = {
        let rig = Rc::clone(&rig);
        actix_rt::spawn(async move { rig.call(reqwest::Method::POST, &lease, &call).await })
    };
    // Long enough for it to be known; without it the drill would show nothing.
    tokio::time::sleep(Duration::from_millis(200)).await;

    let alone = Alone::take(&rig)?;
    let mut submits = vec![submit()];
    while rig.waiting_for_the_writer().await? < 5 {
        submits.push(submit());
        ensure!(submits.len() < 100, "nothing waits for the writer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The database is in other hands for longer than anybody waits.
    for submit in submits {
        let (status, answer) = submit.await??;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {answer}");
    }
    drop(alone);
    let (status, answer) = submit().await??;
    ensure!(status == StatusCode::CREATED, "{status}: {answer}");
    let (_, leased) = waiting.await??;
    ensure!(leased["assignments"][0]["task_id"].is_string(), "{leased}");
    let unbegun =
        rig.metric("hive_writer_commands_total{kind=\"submit_task\",outcome=\"unavailable\"}").await?;
    ensure!(unbegun >= 5, "{unbegun} were not begun");
    assert_eq!(rig.metric(REBUILDS).await?, before);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the test waits for each of them itself")]
#[actix_rt::test]
async fn an_end_that_nobody_waits_for_any_more_frees_no_slot_and_keeps_nobody_busy() -> Result<()> {
    const PLANS: &str = "hive_plans_total";
    let rig = Rc::new(Rig::start().await?);
    let agent = json!({"name": "single", "role": "worker", "capacity": 1, "link": {"kind": "worker"}});
    let agent = rig.call(reqwest::Method::POST, "/api/v2/agents", &agent).await?.1;
    let lease = format!("/api/v2/agents/{}/lease", agent["id"].as_str().with_context(|| agent.to_string())?);
    let post = |path: &str, body: Value| {
        let (rig, path) = (Rc::clone(&rig), path.to_owned());
        actix_rt::spawn(async move { rig.call(reqwest::Method::POST, &path, &body).await })
    };
    let submit = || post("/api/v2/tasks", json!({"title": "drill"}));
    submit().await??;
    let held = post(&lease, json!({"max": 1, "wait_ms": 30_000})).await??.1;
    let next = submit().await??.1;
    let waiting = post(&lease, json!({"max": 1, "wait_ms": 30_000}));

    let before = rig.metric(PLANS).await?;
    let alone = Alone::take(&rig)?;
    let mut late = vec![submit()];
    while rig.waiting_for_the_writer().await? == 0 {
        late.push(submit());
        ensure!(late.len() < 100, "nothing waits for the writer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let complete =
        format!("/api/v2/tasks/{}/complete", held["assignments"][0]["task_id"].as_str().context("an id")?);
    late.push(post(&complete, json!({"attempt": 1})));
    for late in late {
        let (status, answer) = late.await??;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {answer}");
    }
    ensure!(rig.metric(PLANS).await? > before, "the next task is to be claimed behind that end");
    drop(alone);
    submit().await??;
    let before = rig.metric(PLANS).await?;
    let next = next["id"].as_str().context("an id")?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        ensure!(
            rig.get(&format!("/api/v2/tasks/{next}")).await?["state"] == "queued",
            "its agent has one slot"
        );
    }
    // An agent that is given nothing asks again ten times a second.
    let plans = rig.metric(PLANS).await? - before;
    ensure!(plans <= 1, "{plans} plans count on an end that was none");
    rig.completed(&held).await?;
    let (_, leased) = waiting.await??;
    ensure!(leased["assignments"][0]["task_id"] == next, "{leased}");
    Ok(())
}
