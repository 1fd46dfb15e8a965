//! `hive copy`: a hive with work of every kind goes to a PostgreSQL server and back, and goes on there.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::database::{schema, sql};
use tests::{Hive, Options};

use crate::cli::{Told, bare, run};

fn copy(from: &str, to: &str, url: &str) -> Result<Told> {
    let mut command = bare(&["copy", "--from", from, "--to", to, "--json"]);
    command.env("HIVE__DATABASE__URL", url);
    run(command)
}

/// A folder's hive on SQLite, or on a server where one is named.
fn options(folder: &Path, url: &str) -> Options {
    Options::default().folder(folder).set("HIVE__DATABASE__URL", url)
}

/// What a hive holds of every kind, as the ids by which it is asked for.
struct Work {
    tasks: Vec<String>,
    held: String,
    worker: String,
    key: String,
}

const SUBMIT: &str = "/api/v2/tasks";

async fn keyed(hive: &Hive) -> Result<(u16, Value)> {
    let body = json!({"title": "keyed", "requires": ["nobody"], "delay_ms": 3_600_000});
    let answer =
        hive.request(Method::POST, SUBMIT).header("Idempotency-Key", "once").json(&body).send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

fn unique() -> Value {
    json!({"title": "only one", "requires": ["nobody"], "unique": {"key": "only"}})
}

async fn work_of_every_kind(hive: &Hive) -> Result<Work> {
    let worker = hive.agent("ada", &["w"], 10).await?;
    let process = json!({"name": "cat", "capabilities": ["p"], "link": {"kind": "process", "command": ["cat"],
        "env": {"SECRET": "s3cret"}}});
    hive.post("/api/v2/agents", &process, 201).await?;
    hive.post("/api/v2/queues/night/pause", &json!({}), 200).await?;
    let limit = hive
        .request(Method::PUT, "/api/v2/queues/narrow")
        .json(&json!({"concurrency_limit": 2}))
        .send()
        .await?;
    ensure!(limit.status() == 200, "{}", limit.text().await?);
    let made = hive.post("/api/v2/auth/keys", &json!({"name": "ci", "role": "viewer"}), 201).await?;
    let key = made["key"].as_str().context("a key")?.to_owned();
    let mut tasks = Vec::new();
    for title in ["done", "dead", "held"] {
        tasks.push(
            hive.submit(&json!({"title": title, "requires": ["w"], "input": {"ä": "🐝 \"'\\"},
            "labels": {"team": "blue"}, "priority": 7}))
                .await?,
        );
    }
    let mut held = 0;
    while held < 3 {
        // A call is answered with what is known to wait when it comes, which may be fewer.
        let leased = hive.lease(&worker, 3, 5_000).await?.len();
        ensure!(leased > 0, "{held} are held, and nothing more is handed out");
        held += leased;
    }
    let path = |at: usize, verb: &str| format!("/api/v2/tasks/{}/{verb}", tasks[at]);
    let report = json!({"attempt": 1, "result": {"ok": [1, 2.50, "x"]}, "usage": {"input_tokens": 7}});
    hive.post(&path(0, "complete"), &report, 200).await?;
    let report =
        json!({"attempt": 1, "error": {"kind": "broken", "message": "it's broken"}, "retryable": false});
    hive.post(&path(1, "fail"), &report, 200).await?;
    hive.post(&path(2, "output"), &json!({"attempt": 1, "text": "line\n\u{1b}[1m\ttwo 🐝\n"}), 200).await?;
    let by_process = hive.submit(&json!({"title": "echo", "requires": ["p"], "input": {"n": 1}})).await?;
    hive.task_when(&by_process, |task| task["state"] == "completed").await?;
    let canceled = hive.submit(&json!({"title": "canceled", "queue": "night"})).await?;
    hive.post(&format!("/api/v2/tasks/{canceled}/cancel"), &json!({}), 200).await?;
    let waits = hive.submit(&json!({"title": "waits", "queue": "night"})).await?;
    let only = hive.submit(&unique()).await?;
    let (status, once) = keyed(hive).await?;
    ensure!(status == 201, "{once}");
    let once = once["id"].as_str().context("an id")?.to_owned();
    let held = tasks[2].clone();
    tasks.extend([by_process, canceled, waits, only, once]);
    Ok(Work { tasks, held, worker, key })
}

/// Everything that is read of it, without what the time of reading changes.
async fn reads(hive: &Hive, work: &Work) -> Result<Vec<(String, Value)>> {
    let mut paths =
        vec!["/api/v2/queues".to_owned(), "/api/v2/auth/keys".to_owned(), "/api/v2/tasks".to_owned()];
    for task in &work.tasks {
        paths.extend(
            ["", "/attempts", "/output", "/events"].map(|part| format!("/api/v2/tasks/{task}{part}")),
        );
    }
    let mut found = Vec::new();
    for path in paths {
        let mut answer = hive.get(&path).await?;
        // A start gives leases their time anew.
        for at in ["/lease_expires_at", "/lease/expires_at"] {
            if let Some(value) = answer.pointer_mut(at) {
                *value = Value::Null;
            }
        }
        if let Some(items) = answer["items"].as_array_mut() {
            items
                .iter_mut()
                .filter_map(|item| item.get_mut("lease_expires_at"))
                .for_each(|at| *at = Value::Null);
        }
        found.push((path, answer));
    }
    let agents = hive.get("/api/v2/agents").await?;
    for agent in agents["items"].as_array().context("agents")? {
        let lasting = ["id", "name", "role", "capabilities", "capacity", "labels", "link", "created_at"];
        found.push((
            format!("agent {}", agent["name"]),
            lasting.iter().map(|name| agent[*name].clone()).collect(),
        ));
    }
    Ok(found)
}

async fn events(hive: &Hive) -> Result<Vec<Value>> {
    Ok(hive.get("/api/v2/events?limit=200").await?["items"].as_array().context("events")?.clone())
}

fn same(before: &[(String, Value)], after: &[(String, Value)]) -> Result<()> {
    ensure!(before.len() == after.len());
    for ((path, before), (_, after)) in before.iter().zip(after) {
        ensure!(before == after, "{path} was\n{before:#}\nand is\n{after:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hive_with_work_of_every_kind_goes_to_a_server_and_goes_on_there_and_back() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, url) = (home.path().join("data"), schema("copied")?);
    let mut hive = Hive::start_with(options(&data, "")).await?;
    let work = work_of_every_kind(&hive).await?;
    let from = format!("sqlite:{}", data.display());
    let refused = copy(&from, "settings", &url)?;
    ensure!(refused.code == 74 && refused.err.contains("cannot copy from this database"), "{refused:?}");
    ensure!(refused.err.contains("is in use by another hive"), "{refused:?}");
    ensure!(
        refused.err.contains(&format!("stop it first: it answers at {} (process {})", hive.url, hive.pid())),
        "{refused:?}"
    );
    let (before, log) = (reads(&hive, &work).await?, events(&hive).await?);
    let epoch = hive.get("/api/v2/system").await?["epoch"].clone();
    ensure!(hive.terminate().await?.success());
    let copied = copy(&from, "settings", &url)?;
    ensure!(copied.code == 0, "{copied:?}");
    let copied: Value = serde_json::from_str(&copied.out)?;
    ensure!(
        copied["epoch"] == epoch && copied["tables"].as_array().is_some_and(|all| all.len() > 10),
        "{copied}"
    );
    let again = copy(&from, "settings", &url)?;
    ensure!(again.code == 6 && again.err.contains("is not empty"), "{again:?}");

    let mut hive = Hive::start_with(options(&data, &url)).await?;
    ensure!(hive.get("/api/v2/system").await?["database"] == "postgresql");
    ensure!(hive.get("/api/v2/system").await?["epoch"] == epoch);
    same(&before, &reads(&hive, &work).await?)?;
    let now = events(&hive).await?;
    ensure!(now.len() >= log.len() && now[..log.len()] == log[..], "the log is another one");
    // It goes on: who holds a task still does, keys are known, ids and events go on.
    let path = format!("/api/v2/tasks/{}/complete", work.held);
    hive.post(&path, &json!({"attempt": 1, "result": {"late": true}}), 200).await?;
    let (status, once) = keyed(&hive).await?;
    ensure!(status == 201 && once["id"] == work.tasks[7].as_str(), "{status} {once}");
    // Whoever asks for what is unique gets the task that has its key.
    let second = hive.request(Method::POST, SUBMIT).json(&unique()).send().await?;
    let second: Value = second.json().await?;
    ensure!(second["id"] == work.tasks[6].as_str(), "{second}");
    let by_key =
        reqwest::Client::new().get(format!("{}{SUBMIT}", hive.url)).bearer_auth(&work.key).send().await?;
    ensure!(by_key.status() == 200, "{}", by_key.text().await?);
    let next = hive.submit(&json!({"title": "next", "requires": ["w"]})).await?;
    ensure!(work.tasks.iter().all(|task| *task < next), "{next} comes after {:?}", work.tasks);
    ensure!(hive.lease(&work.worker, 1, 5_000).await?[0]["task_id"] == next.as_str());
    let echo = hive.submit(&json!({"title": "echo", "requires": ["p"], "input": 2})).await?;
    hive.task_when(&echo, |task| task["state"] == "completed").await?;
    let before = reads(&hive, &work).await?;
    ensure!(hive.terminate().await?.success());

    let back = home.path().join("back");
    let copied = copy(&url, &format!("sqlite:{}", back.display()), "")?;
    ensure!(copied.code == 0, "{copied:?}");
    let hive = Hive::start_with(options(&back, "")).await?;
    same(&before, &reads(&hive, &work).await?)?;
    hive.post("/api/v2/queues/night/resume", &json!({}), 200).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_changed_on_its_way_is_found_and_said_and_nothing_is_kept() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, url) = (home.path().join("data"), schema("tampered")?);
    let mut hive = Hive::start_with(options(&data, "")).await?;
    hive.submit(&json!({"title": "ten", "input": {"amount": 10}})).await?;
    ensure!(hive.terminate().await?.success());
    let mut made = bare(&["migrate", "run"]);
    made.env("HIVE__DATABASE__URL", &url);
    ensure!(run(made)?.code == 0);
    sql(
        &url,
        "CREATE FUNCTION tamper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.input = \
               replace(NEW.input, '10', '11'); RETURN NEW; END $$; CREATE TRIGGER tamper BEFORE INSERT ON task_specs \
               FOR EACH ROW EXECUTE FUNCTION tamper()",
    )?;
    let from = format!("sqlite:{}", data.display());
    let refused = copy(&from, "settings", &url)?;
    ensure!(
        refused.code == 74 && refused.err.contains("rows of the table task_specs are not the same"),
        "{refused:?}"
    );
    ensure!(sql(&url, "SELECT count(*) FROM tasks")? == "0");
    sql(&url, "DROP TRIGGER tamper ON task_specs")?;
    ensure!(copy(&from, &url, "")?.code == 0);
    Ok(())
}

#[tokio::test]
async fn a_target_that_cannot_be_used_is_told_of_as_the_target_and_in_the_words_of_a_copy() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (source, url) = (home.path().join("source"), schema("target")?);
    let mut hive = Hive::start_with(options(&source, "")).await?;
    ensure!(hive.terminate().await?.success());
    let from = format!("sqlite:{}", source.display());
    let told = |to: &str, words: &[&str]| {
        let told = copy(&from, to, "")?;
        ensure!(told.code == 74 && told.err.contains("cannot copy to this database"), "{told:?}");
        ensure!(!told.err.contains("--data-dir") && !told.err.contains("--database-url"), "{told:?}");
        ensure!(words.iter().all(|word| told.err.contains(word)), "{told:?}");
        anyhow::Ok(())
    };
    // Another hive serves from the folder, and one from the database.
    let serving = home.path().join("serving");
    let other = Hive::start_with(options(&serving, "")).await?;
    let who = format!("stop it first: it answers at {} (process {})", other.url, other.pid());
    told(&format!("sqlite:{}", serving.display()), &[&serving.display().to_string(), &who])?;
    let elsewhere = Hive::start_with(options(&home.path().join("elsewhere"), &url)).await?;
    told(&url, &["node number 0", "the database that --to names must stand still"])?;
    drop(elsewhere);
    told("postgresql://hive@%2Fnowhere/hive", &["No such file", "by the URL that --to names"])?;
    Ok(())
}

#[test]
fn places_that_are_none_are_refused_and_a_password_is_not_repeated() -> Result<()> {
    let told = copy("mysql://me:hunter2@db/hive", "settings", "")?;
    ensure!(told.code == 2 && told.err.contains("--from must be sqlite:FOLDER"), "{told:?}");
    ensure!(!told.err.contains("hunter2"), "{told:?}");
    let folder = tempfile::tempdir()?;
    let from = format!("sqlite:{}", folder.path().join("no").display());
    let told = copy(&from, "sqlite:elsewhere", "")?;
    ensure!(told.code == 74 && told.err.contains("there is no folder"), "{told:?}");
    let told = copy(&format!("sqlite:{}", folder.path().display()), "sqlite:elsewhere", "")?;
    ensure!(
        told.code == 74 && told.err.contains("there is no hive in the database to copy from"),
        "{told:?}"
    );
    Ok(())
}
