//! What becomes of hives when their PostgreSQL server, or one of them, fails under work.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, RequestBuilder};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::database::{LossyWay, Server, schema, sql};
use tests::{Hive, Options, PATIENCE};

fn on(url: &str) -> Options {
    Options::default().set("HIVE__DATABASE__URL", url)
}

/// Waits until a query prints this.
async fn until(url: &str, query: &str, printed: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let found = sql(url, query)?;
        if found == printed {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{query} prints {found} and not {printed}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a request until it is answered otherwise than that the hive cannot now, and answers how. Counts refusals, which
/// must say when to come back.
async fn insist(request: RequestBuilder, refusals: &AtomicU32) -> Result<u16> {
    let began = Instant::now();
    loop {
        let answer = request.try_clone().context("a body that can be sent again")?.send().await;
        let answer = answer.context("a hive without a database answers all the same")?;
        let status = answer.status().as_u16();
        if status != 503 {
            return Ok(status);
        }
        let retry = answer.headers().get("retry-after").cloned();
        let text = answer.text().await?;
        ensure!(retry.is_some(), "it does not say when to come back: {text}");
        refusals.fetch_add(1, Ordering::Relaxed);
        ensure!(began.elapsed() < 2 * PATIENCE, "it is refused for ever: {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Counts of what clients and workers of the test did.
#[derive(Default)]
struct Done {
    submitted: AtomicU32,
    completed: AtomicU32,
    refusals: AtomicU32,
    is_over: AtomicBool,
}

async fn submits(hive: &Hive, client: u32, done: &Done) -> Result<()> {
    let mut number = 0;
    while !done.is_over.load(Ordering::Acquire) {
        number += 1;
        let key = format!("client-{client}-{number}");
        let request = hive.request(Method::POST, "/api/v2/tasks").header("Idempotency-Key", &key);
        let status = insist(request.json(&json!({"title": key})), &done.refusals).await?;
        // One that was stored although its answer was lost is answered as it would have been.
        ensure!(status == 201, "a submit was answered {status}");
        done.submitted.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn works(hive: &Hive, agent: &str, done: &Done) -> Result<()> {
    loop {
        let is_over = done.is_over.load(Ordering::Acquire);
        let lease = json!({"max": 20, "wait_ms": 100, "worker_instance": "w"});
        let path = format!("/api/v2/agents/{agent}/lease");
        let answer = hive.request(Method::POST, &path).json(&lease).send().await?;
        let status = answer.status().as_u16();
        ensure!(status == 200 || status == 503, "a lease was answered {status}: {}", answer.text().await?);
        let leased: Value = answer.json().await?;
        let leased = leased["assignments"].as_array().cloned().unwrap_or_default();
        if leased.is_empty() && status == 200 && is_over {
            let (submitted, completed) = (&done.submitted, &done.completed);
            if submitted.load(Ordering::Acquire) == completed.load(Ordering::Acquire) {
                return Ok(());
            }
        }
        for held in leased {
            let path = format!("/api/v2/tasks/{}/complete", held["task_id"].as_str().context("an id")?);
            let report = json!({"attempt": held["attempt"], "result": {"ok": true}});
            let request = hive.request(Method::POST, &path).json(&report);
            match insist(request, &done.refusals).await? {
                200 => done.completed.fetch_add(1, Ordering::Relaxed),
                // Its lease ended while there was no database; another attempt will be handed out.
                409 => 0,
                other => bail!("a completion was answered {other}"),
            };
        }
    }
}

/// Waits until so many more were submitted.
async fn more(done: &Done, count: u32) -> Result<()> {
    let wanted = done.submitted.load(Ordering::Acquire) + count;
    let began = Instant::now();
    while done.submitted.load(Ordering::Acquire) < wanted {
        ensure!(began.elapsed() < 2 * PATIENCE, "nothing is accepted any more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_crashes_under_load_and_comes_back_costs_time_and_no_task() -> Result<()> {
    let server = Server::start()?;
    // Short leases: what a lease call took whose answer was lost comes back soon.
    let hive = Hive::start_with(on(&server.url).set("HIVE__LEASE__TTL_MS", 2_000)).await?;
    let agent = hive.agent("ada", &[], 100).await?;
    let done = Done::default();
    let (hive, done) = (&hive, &done);
    let clients = futures_util::future::try_join_all((0..4).map(|client| submits(hive, client, done)));
    let story = async {
        more(done, 200).await?;
        server.crash()?;
        let before = done.refusals.load(Ordering::Acquire);
        let began = Instant::now();
        while done.refusals.load(Ordering::Acquire) < before + 10 {
            ensure!(began.elapsed() < PATIENCE, "nobody was refused without a database");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.recover()?;
        more(done, 200).await?;
        done.is_over.store(true, Ordering::Release);
        anyhow::Ok(())
    };
    // Whichever fails first ends the others, which would wait for it for ever.
    tokio::try_join!(clients, works(hive, &agent, done), story)?;
    let submitted = done.submitted.load(Ordering::Acquire);
    let count = submitted.to_string();
    for (what, expected) in [
        ("SELECT count(*) FROM tasks", count.as_str()),
        ("SELECT count(*) FROM tasks WHERE state = 3", &count),
        ("SELECT count(*) FROM events WHERE kind = 'task.completed'", &count),
        ("SELECT max(seq) - count(*) FROM events", "0"),
        ("SELECT count(*) - count(DISTINCT title) FROM task_specs", "0"),
    ] {
        ensure!(sql(&server.url, what)? == expected, "{what} prints {}", sql(&server.url, what)?);
    }
    hive.until("/api/v2/system", |system| system["tasks"]["completed"] == submitted).await?;
    // That it was away is no failure of any actor.
    let actors = hive.get("/api/v2/system/actors?prefix=hive/writer").await?;
    ensure!(actors["items"][0]["restarts"] == 0, "{actors}");
    // The server forgot who has the number; the hive has taken it again.
    until(&server.url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted", "1").await?;
    let Err(refused) = Hive::start_with(on(&server.url)).await else { bail!("two hives serve") };
    ensure!(refused.to_string().contains("is in use by another hive"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn what_was_refused_while_the_server_was_away_is_not_stored_once_it_is_back() -> Result<()> {
    let server = Server::start()?;
    let hive = Hive::start_with(on(&server.url)).await?;
    let submit = |title: &str| hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": title}));
    ensure!(submit("before").send().await?.status() == 201);
    server.crash()?;
    // The hive finds out by its next write.
    ensure!(submit("finds out").send().await?.status() == 503);
    let refused = futures_util::future::try_join_all((0..20).map(|_| submit("refused").send())).await?;
    for answer in refused {
        ensure!(answer.status() == 503, "it was answered {}", answer.text().await?);
    }
    server.recover()?;
    ensure!(insist(submit("after"), &AtomicU32::new(0)).await? == 201);
    let found = sql(&server.url, "SELECT string_agg(title, ', ' ORDER BY task_id) FROM task_specs")?;
    ensure!(found == "before, after", "stored are {found}");
    Ok(())
}

#[tokio::test]
async fn a_hive_whose_server_takes_no_writes_any_more_is_not_ready_answers_reads_and_is_ready_again_with_it()
-> Result<()> {
    let server = Server::start()?;
    let hive = Hive::start_with(on(&server.url)).await?;
    let task = hive.submit(&json!({"title": "t"})).await?;
    let until_ready = async |status: u16| {
        let began = Instant::now();
        loop {
            let answer = hive.request(Method::GET, "/health/ready").send().await?;
            if answer.status().as_u16() == status {
                return answer.json::<Value>().await.context("JSON");
            }
            ensure!(began.elapsed() < PATIENCE, "/health/ready answers {}", answer.text().await?);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // As after a failover that left the hive with a standby: it can be read.
    sql(&server.url, "ALTER DATABASE postgres SET default_transaction_read_only = on")?;
    let writers =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hive writer'";
    sql(&server.url, writers)?;
    let submit = || hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": "u"}));
    ensure!(submit().send().await?.status() == 503);
    let refused = until_ready(503).await?;
    ensure!(refused["code"] == "store_unavailable", "{refused}");
    ensure!(hive.get(&format!("/api/v2/tasks/{task}")).await?["title"] == "t");
    let says = "cannot write to the database";
    let health = hive.until("/health", |health| health["components"]["writer"]["details"] == says).await?;
    let database = &health["components"]["database"]["status"];
    ensure!(health["status"] == "unhealthy" && database == "healthy", "{health}");
    let writing = format!("{}?options=-cdefault_transaction_read_only%3Doff", server.url);
    sql(&writing, "ALTER DATABASE postgres RESET default_transaction_read_only")?;
    until_ready(200).await?;
    ensure!(submit().send().await?.status() == 201);
    Ok(())
}

#[tokio::test]
async fn a_task_whose_commit_was_not_answered_is_worked_on_though_nothing_comes_after_it_but_its_replay()
-> Result<()> {
    let url = schema("unanswered")?;
    let way = LossyWay::to(&url)?;
    let hive = Hive::start_with(on(&way.url)).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    // It has shown itself: of its next call nothing goes to the log.
    ensure!(hive.lease(&agent, 1, 1).await?.is_empty());
    let submit = || {
        let request = hive.request(Method::POST, "/api/v2/tasks").header("Idempotency-Key", "once");
        request.json(&json!({"title": "t"}))
    };
    way.lose(true);
    let began = Instant::now();
    while sql(&url, "SELECT count(*) FROM tasks")? == "0" {
        let answer = submit().send().await?;
        ensure!(answer.status() == 503, "it was answered {}", answer.text().await?);
        ensure!(began.elapsed() < PATIENCE, "it is never stored");
    }
    way.lose(false);
    let refusals = AtomicU32::new(0);
    let status = insist(submit(), &refusals).await?;
    ensure!(status == 201, "the replay was answered {status}");
    let leased = hive.lease(&agent, 1, 10_000).await?;
    ensure!(leased.len() == 1, "nobody is given the task: {}", hive.log());
    ensure!(sql(&url, "SELECT count(*) FROM tasks")? == "1");
    Ok(())
}

/// Somebody who holds a row until told to let go.
pub struct Holder {
    child: Child,
}

impl Holder {
    pub fn of(url: &str, query: &str) -> Result<Self> {
        let mut child = Command::new("psql").arg(url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.as_mut().context("a stdin")?.write_all(format!("BEGIN; {query};\n").as_bytes())?;
        Ok(Self { child })
    }

    pub fn let_go(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        ensure!(self.child.wait()?.success());
        Ok(())
    }
}

/// The second hive, as soon as it is let in.
async fn second(options: Options) -> Result<Hive> {
    let began = Instant::now();
    loop {
        match Hive::start_with(options.clone()).await {
            Ok(hive) => return Ok(hive),
            Err(error) if error.to_string().contains("is in use by another hive") => {
                ensure!(began.elapsed() < PATIENCE, "it is never let in: {error}");
            }
            Err(error) => return Err(error),
        }
    }
}

/// Processes that have noted their ids in a file, once there are so many.
async fn noted(pids: &Path, count: usize) -> Result<Vec<u32>> {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(pids).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            return Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?);
        }
        ensure!(began.elapsed() < PATIENCE, "not so many processes have begun: {text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_hive_that_stands_still_within_a_batch_is_followed_by_another_and_its_batch_is_refused_whole()
-> Result<()> {
    let url = schema("stopped")?;
    let named = format!("{url}&application_name=stopped%20hive");
    let mut hive = Hive::start_with(on(&named)).await?;
    let folder = tempfile::tempdir()?;
    let pids = folder.path().join("pids");
    let note = format!("echo $$ >> {}; exec sleep 600", pids.display());
    let link = json!({"kind": "process", "command": ["sh", "-c", note]});
    hive.post("/api/v2/agents", &json!({"name": "long", "capabilities": ["p"], "link": link}), 201).await?;
    hive.submit(&json!({"title": "long", "requires": ["p"]})).await?;
    let process = noted(&pids, 1).await?[0];
    // Whoever watches the agents has seen this one: what it saw is in the log.
    hive.until("/api/v2/agents", |page| page["items"][0]["state"] == "working").await?;
    let task = hive.submit(&json!({"title": "t", "priority": 5})).await?;
    let row = sql(&url, "SELECT max(id) FROM tasks")?;
    let holder = Holder::of(&url, &format!("SELECT id FROM tasks WHERE id = {row} FOR UPDATE"))?;
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.granted AND \
                l.mode = 'RowShareLock' AND a.application_name = 'psql' AND l.relation = 'tasks'::regclass";
    until(&url, held, "1").await?;
    // Its batch waits for the row: so it has begun, and is not committed.
    let path = format!("/api/v2/tasks/{task}");
    let zombie = hive.request(Method::PATCH, &path).json(&json!({"priority": 9})).send();
    let story = async {
        let waits = "SELECT count(*) FROM pg_stat_activity \
                     WHERE application_name = 'stopped hive' AND wait_event_type = 'Lock'";
        until(&url, waits, "1").await?;
        hive.halt()?;
        holder.let_go()?;
        let follower = second(on(&url)).await?;
        ensure!(follower.get(&path).await?["priority"] == 5, "nothing of the batch is there");
        let began = Instant::now();
        let patch = follower.request(Method::PATCH, &path).json(&json!({"priority": 7})).send().await?;
        ensure!(patch.status() == 200, "{}", patch.text().await?);
        ensure!(began.elapsed() < Duration::from_secs(5), "the other is held up for {:?}", began.elapsed());
        // What the first hive's process worked on has begun again; from then on nobody has anything to tell.
        noted(&pids, 2).await?;
        let events = sql(&url, "SELECT max(seq) FROM events")?;
        hive.signal(Signal::CONT)?;
        Ok((follower, events))
    };
    let (zombie, story) = tokio::join!(zombie, story);
    let (follower, events) = story?;
    // It may end before it has answered.
    if let Ok(answer) = zombie {
        ensure!(answer.status() == 503, "the batch of the one that stood still: {}", answer.text().await?);
    }
    let began = Instant::now();
    while let Ok(answer) =
        hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": "zombie"})).send().await
    {
        ensure!(answer.status() == 503, "it was answered {}", answer.text().await?);
        ensure!(began.elapsed() < PATIENCE, "it does not end: {}", hive.log());
    }
    let ended = hive.ended().await?;
    ensure!(ended.code() == Some(74), "it ended with {ended}: {}", hive.log());
    let began = Instant::now();
    while Path::new(&format!("/proc/{process}")).exists() {
        ensure!(began.elapsed() < PATIENCE, "its process runs on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(follower.get(&path).await?["priority"] == 7);
    ensure!(sql(&url, "SELECT count(*) FROM task_specs WHERE title = 'zombie'")? == "0");
    let written =
        sql(&url, &format!("SELECT string_agg(kind, ', ' ORDER BY seq) FROM events WHERE seq > {events}"))?;
    ensure!(written.is_empty(), "it has written to the log: {written}");
    ensure!(hive.log().contains("another hive has taken node number 0 of this database"), "{}", hive.log());
    follower.submit(&json!({"title": "goes on"})).await?;
    Ok(())
}

#[tokio::test]
async fn a_hive_follows_one_that_was_killed_at_once_and_has_all_it_had() -> Result<()> {
    let url = schema("followed")?;
    let mut first = Hive::start_with(on(&url)).await?;
    let task = first.submit(&json!({"title": "t"})).await?;
    first.kill()?;
    let follower = Hive::start_with(on(&url)).await?;
    ensure!(follower.get(&format!("/api/v2/tasks/{task}")).await?["title"] == "t");
    let next = follower.submit(&json!({"title": "u"})).await?;
    ensure!(next > task, "ids go on: {task}, then {next}");
    Ok(())
}

#[tokio::test]
async fn what_is_slow_is_told_of_with_its_kind_and_how_long_it_took() -> Result<()> {
    let url = schema("slow")?;
    let hive = Hive::start_with(on(&url).set("HIVE__STORE__SLOW_MS", 100)).await?;
    let holder = Holder::of(&url, "SELECT seq FROM log_head FOR UPDATE")?;
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.granted AND \
                l.mode = 'RowShareLock' AND a.application_name = 'psql' AND l.relation = 'log_head'::regclass";
    until(&url, held, "1").await?;
    let submit = async {
        let request = hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": "t"}));
        anyhow::Ok(request.send().await?.status().as_u16())
    };
    let story = async {
        // Of this hive: others of other tests may wait at the same server.
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hive writer' AND \
                     wait_event_type = 'Lock' AND now() - query_start > '200 ms' AND \
                     EXISTS (SELECT FROM pg_locks l WHERE l.pid = ANY (pg_blocking_pids(pg_stat_activity.pid)) AND \
                     l.relation = 'log_head'::regclass)";
        until(&url, waits, "1").await?;
        holder.let_go()
    };
    let (status, story) = tokio::join!(submit, story);
    story?;
    ensure!(status? == 201);
    // The log is written by a thread of its own, perhaps a moment after the answer.
    let wanted = ["a round trip to the database was slow", "\"commit\"", "a commit was slow"];
    let began = Instant::now();
    while !wanted.iter().all(|line| hive.log().contains(line)) {
        ensure!(began.elapsed() < PATIENCE, "{}", hive.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let metrics = hive.request(Method::GET, "/metrics").send().await?.text().await?;
    for line in [
        "hive_writer_statement_seconds_count{kind=\"begin\"}",
        "hive_writer_statement_seconds_count{kind=\"commit\"}",
        "hive_reader_query_seconds_count{query=",
        "hive_reader_connections{state=\"idle\"}",
        "hive_reader_connections{state=\"waiting\"} 0",
    ] {
        ensure!(metrics.contains(line), "{line} is not in {metrics}");
    }
    Ok(())
}
