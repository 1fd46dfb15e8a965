//! Somebody writes into the database past the hive, and what he writes cannot be understood: the row is named and left
//! alone, what is asked of it is told so, and everything else goes on. While the hive serves, and over a start.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use domain::TaskId;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Hive, Options, cli};

/// Something that makes a row that cannot be understood.
struct Fault {
    /// The task's title.
    title: &'static str,
    /// Written behind the hive; `$id` is the task.
    sql: &'static str,
    /// What is said of it.
    why: &'static str,
}

const FAULTS: [Fault; 6] = [
    Fault {
        title: "labels",
        sql: "UPDATE task_specs SET labels = '{\"broken' WHERE task_id = $id",
        why: "labels",
    },
    Fault { title: "input", sql: "UPDATE task_specs SET input = '[1, 2' WHERE task_id = $id", why: "input" },
    Fault {
        title: "negative",
        sql: "UPDATE tasks SET failures = -3 WHERE id = $id",
        why: "a negative count",
    },
    Fault {
        title: "state",
        sql: "PRAGMA ignore_check_constraints = ON; UPDATE tasks SET state = 9 WHERE id = $id",
        why: "unknown state",
    },
    Fault { title: "spec", sql: "DELETE FROM task_specs WHERE task_id = $id", why: "is not there" },
    Fault { title: "lease", sql: "UPDATE tasks SET state = 2 WHERE id = $id", why: "without a holder" },
];

fn sql(folder: &Path, statements: &str) -> Result<String> {
    let mut command = Command::new("sqlite3");
    command.args(["-cmd", ".timeout 10000"]).arg(folder.join("hive.db")).arg(statements);
    let told = command.output().context("install sqlite3: this test writes into a database with it")?;
    ensure!(told.status.success(), "{statements}: {}", String::from_utf8_lossy(&told.stderr));
    Ok(String::from_utf8(told.stdout)?)
}

/// What a read of a broken task is answered.
async fn is_told(hive: &Hive, path: &str) -> Result<()> {
    let answer = hive.request(Method::GET, path).send().await?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await?;
    let detail = body["detail"].as_str().unwrap_or_default();
    ensure!(status == 500 && body["code"] == "internal", "{path}: {status} {body}");
    ensure!(detail.contains("cannot be understood and is left alone"), "{path}: {body}");
    Ok(())
}

async fn quarantined(hive: &Hive) -> Result<u64> {
    let text = hive.request(Method::GET, "/metrics").send().await?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix("hive_store_quarantined_tasks "));
    Ok(line.context("a metric")?.parse()?)
}

/// Leases and completes until nothing more comes; answers the titles.
async fn worked_off(hive: &Hive, agent: &str) -> Result<BTreeSet<String>> {
    let mut titles = BTreeSet::new();
    loop {
        let leased = hive.lease(agent, 10, 1_000).await?;
        if leased.is_empty() {
            return Ok(titles);
        }
        for held in leased {
            let path = format!("/api/v2/tasks/{}/complete", held["task_id"].as_str().context("an id")?);
            hive.post(&path, &json!({"attempt": held["attempt"], "result": null}), 200).await?;
            titles.insert(held["title"].as_str().context("a title")?.to_owned());
        }
    }
}

fn titles(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(ToString::to_string).collect()
}

/// The hive knows of all broken tasks, says so wherever one can ask, and lists the others.
async fn is_known(hive: &Hive, broken: &[(TaskId, &Fault)], others: usize) -> Result<()> {
    let page = hive.get("/api/v2/tasks?limit=200").await?;
    let listed = page["items"].as_array().context("items")?.len();
    ensure!(listed == others, "{listed} tasks are listed, and {others} can be understood");
    ensure!(quarantined(hive).await? == u64::try_from(broken.len())?, "{}", quarantined(hive).await?);
    let (code, said, _) = cli(hive, &["doctor", "--data-dir", &hive.folder().to_string_lossy()])?;
    ensure!(code == 74, "doctor ended with {code}: {said}");
    let log = hive.log();
    for (task, Fault { title, why, .. }) in broken {
        let path = format!("/api/v2/tasks/{task}");
        if *title == "input" {
            // What it asks for is the only thing that cannot be shown.
            ensure!(hive.get(&format!("{path}/explain")).await?["state"] == "queued");
        } else {
            is_told(hive, &format!("{path}/explain")).await?;
        }
        is_told(hive, &path).await?;
        ensure!(said.contains(&task.to_string()) && said.contains(why), "{task} ({title}): {said}");
        let named = log.lines().any(|line| line.contains(&task.to_string()) && line.contains(why));
        ensure!(named, "the log does not say of {task} ({title}): {why}:\n{log}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_that_cannot_be_understood_are_named_and_left_alone_and_the_rest_goes_on() -> Result<()> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("data");
    let options = Options::default().folder(&folder).set("HIVE__LEASE__TTL_MS", 2_000);
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("ada", &[], 10).await?;
    // The broken ones are the oldest: whoever cannot pass them by gets no further.
    let mut broken = Vec::new();
    for fault in &FAULTS {
        let id: TaskId = hive.submit(&json!({"title": fault.title, "input": [1, 2]})).await?.parse()?;
        broken.push((id, fault));
    }
    let due: TaskId = hive.submit(&json!({"title": "due", "delay_ms": 500})).await?.parse()?;
    hive.submit(&json!({"title": "first"})).await?;
    for (id, fault) in &broken {
        sql(&folder, &fault.sql.replace("$id", &id.raw().to_string()))?;
    }
    // The stager, the reaper and the expirer meet one of their own each.
    let late = [
        ("stager", json!({"title": "x", "delay_ms": 300}), "state = 0"),
        (
            "expirer",
            json!({"title": "x", "timeouts": {"schedule_to_start_ms": 300}, "requires": ["nobody"]}),
            "state = 1",
        ),
    ];
    let mut met = Vec::new();
    for (name, body, state) in late {
        let id: TaskId = hive.submit(&body).await.context(name)?.parse()?;
        sql(&folder, &format!("UPDATE tasks SET crashes = -1 WHERE id = {} AND {state}", id.raw()))?;
        met.push((id, Fault { title: name, sql: "", why: "a negative count" }));
    }
    let expires =
        json!({"title": "expires", "timeouts": {"schedule_to_start_ms": 400}, "requires": ["nobody"]});
    let expires = hive.submit(&expires).await?;
    ensure!(
        worked_off(&hive, &agent).await?.contains("first"),
        "a broken head keeps the others from their agent"
    );
    hive.task_when(&expires, |task| task["state"] == "failed").await?;
    hive.task_when(&due.to_string(), |task| task["state"] != "scheduled").await?;
    worked_off(&hive, &agent).await?;
    broken.extend(met.iter().map(|(id, fault)| (*id, fault)));
    // A list does not read inputs: a task of which only that is broken stays in it.
    let fine = ["first", "due", "expires", "input"].len();
    is_known(&hive, &broken, fine).await?;

    hive.kill()?;
    let mut hive = Hive::start_with(options.clone()).await.context("a start with broken rows")?;
    hive.submit(&json!({"title": "second"})).await?;
    assert_eq!(worked_off(&hive, &agent).await?, titles(&["second"]));
    is_known(&hive, &broken, fine + 1).await?;

    // Whoever corrects a row has the task back.
    let id = |title: &str| broken.iter().find(|(_, fault)| fault.title == title).map(|(id, _)| id.raw());
    let (labels, negative) = (id("labels").context("a task")?, id("negative").context("a task")?);
    sql(
        &folder,
        &format!(
            "UPDATE task_specs SET labels = NULL WHERE task_id = {labels}; UPDATE tasks SET failures = 0 WHERE id = {negative}"
        ),
    )?;
    assert_eq!(worked_off(&hive, &agent).await?, titles(&["labels", "negative"]));
    ensure!(quarantined(&hive).await? == u64::try_from(broken.len() - 2)?);
    ensure!(hive.terminate().await?.success());
    Ok(())
}
