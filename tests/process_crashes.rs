//! What becomes of processes and their attempts when the hive dies, stops, or loses an actor.

use std::time::Duration;

use anyhow::{Context, Result};
use hive::serve::start_guarded_by;
use hive::settings::{Flags, Settings};
use serde_json::{Value, json};
use supervision::Fault;
use tests::processes::{GONE_WITHIN, Mark, SOON};
use tests::{Hive, Options, program};

/// A shell that leaves what a group, a session and a pipe can leave.
const FAMILY: &str = "sleep 600 & setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &) ; sleep 600";

#[tokio::test]
async fn after_kill_9_nothing_runs_on_and_the_attempt_is_counted_as_a_crash_and_not_charged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let mark = Mark::new();
    hive.command_agent("sh", 4, json!({"preset": "shell", "env": mark.env()})).await?;
    let gate = folder.path().join("gate");
    let id = hive.ask("sh", &format!("test -e {} && exit 0; {FAMILY}", gate.display())).await?;
    mark.until(SOON, |count| count >= 6).await?;
    hive.kill()?;
    mark.until(GONE_WITHIN, |count| count == 0).await?;
    std::fs::write(&gate, "")?;
    let hive = Hive::start_with(options).await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!((&task["state"], &task["attempt"]), (&json!("completed"), &json!(2)), "{task:#}");
    assert_eq!((&task["failures"], &task["crashes"]), (&json!(0), &json!(1)));
    let attempts = hive.attempts(&id).await?;
    assert_eq!(
        (&attempts[0]["outcome"], &attempts[0]["error"]["kind"]),
        (&json!("crashed"), &json!("crashed"))
    );
    assert_eq!(attempts[1]["outcome"], "succeeded");
    assert_eq!(std::fs::read_dir(hive.folder().join("processes"))?.count(), 0, "no record is left");
    Ok(())
}

#[tokio::test]
async fn when_the_guard_is_killed_too_the_next_start_ends_what_is_left() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let mark = Mark::new();
    hive.command_agent("sh", 1, json!({"preset": "shell", "env": mark.env()})).await?;
    let gate = folder.path().join("gate");
    let script = format!("test -e {} || {{ setsid sleep 600 & setsid sleep 600 & wait; }}", gate.display());
    let id = hive.ask("sh", &script).await?;
    mark.until(SOON, |count| count >= 3).await?;
    hive.halt()?;
    let records = std::fs::read_dir(hive.folder().join("processes"))?.collect::<Result<Vec<_>, _>>()?;
    let record: Value = serde_json::from_str(&std::fs::read_to_string(records[0].path())?)?;
    let guard = i32::try_from(record["guard"]["pid"].as_i64().context("the guard's pid")?)?;
    let guard = rustix::process::Pid::from_raw(guard).context("a pid")?;
    rustix::process::kill_process(guard, rustix::process::Signal::KILL)?;
    hive.kill()?;
    mark.until(SOON, |count| count >= 2).await.context("they outlive guard and hive")?;
    std::fs::write(&gate, "")?;
    let hive = Hive::start_with(options).await?;
    mark.until(GONE_WITHIN, |count| count == 0).await?;
    assert_eq!(hive.task_ended(&id).await?["crashes"], 1);
    Ok(())
}

/// Waits for its gate, closes it behind itself, and kills the hive: the parent of its guard.
const POISON: &str =
    r#"while ! rm "$GATE" 2>/dev/null; do sleep 0.02; done; kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat)"#;

#[tokio::test]
async fn a_task_that_kills_the_hive_is_a_dead_letter_after_the_third_time_and_can_be_redriven() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let gate = folder.path().join("gate");
    hive.command_agent("sh", 1, json!({"preset": "shell", "env": {"GATE": gate}})).await?;
    let id = hive.ask("sh", POISON).await?;
    for crashes in 0..3 {
        let task = hive.task_when(&id, |task| task["state"] == "working").await?;
        assert_eq!((&task["crashes"], &task["failures"]), (&json!(crashes), &json!(0)), "{task:#}");
        std::fs::write(&gate, "")?;
        hive.ended().await?;
        hive = Hive::start_with(options.clone()).await?;
    }
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!(
        (&task["state"], &task["crashes"], &task["failures"]),
        (&json!("failed"), &json!(3), &json!(0))
    );
    assert_eq!(task["error"]["kind"], "crashed");
    let dead = hive.get("/api/v2/dead-letters").await?;
    assert_eq!(dead["items"][0]["id"], json!(id));
    let again = hive.post(&format!("/api/v2/tasks/{id}/retry"), &json!({}), 200).await?;
    assert_eq!(again["crashes"], 0, "{again:#}");
    Ok(())
}

#[tokio::test]
async fn a_stop_lets_short_processes_finish_and_hands_long_ones_back_uncharged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default()
        .folder(&folder.path().join("data"))
        .set("HIVE__DRAIN__TIMEOUT_S", 3)
        .set("HIVE__AGENTS__KILL_GRACE_MS", 300);
    let mut hive = Hive::start_with(options.clone()).await?;
    let mark = Mark::new();
    hive.command_agent("sh", 2, json!({"preset": "shell", "env": mark.env()})).await?;
    let gate = folder.path().join("gate");
    let short = hive.ask("sh", "sleep 1; echo done").await?;
    let long = hive.ask("sh", &format!("test -e {} || sleep 600", gate.display())).await?;
    mark.until(SOON, |count| count >= 4).await?;
    let status = hive.terminate().await?;
    assert!(status.success(), "{status}");
    assert_eq!(mark.processes(), Vec::<String>::new());
    std::fs::write(&gate, "")?;
    let hive = Hive::start_with(options).await?;
    assert_eq!(hive.attempts(&short).await?[0]["outcome"], "succeeded");
    let task = hive.task_ended(&long).await?;
    assert_eq!(
        (&task["state"], &task["failures"], &task["crashes"]),
        (&json!("completed"), &json!(0), &json!(0))
    );
    assert_eq!(hive.attempts(&long).await?[0]["outcome"], "interrupted");
    Ok(())
}

#[actix_rt::test]
async fn a_panic_of_a_tasks_actor_ends_its_process_and_counts_as_a_failed_attempt() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flags = Flags {
        config: None,
        database_url: None,
        data_dir: Some(folder.path().join("data")),
        bind: Some("127.0.0.1:0".to_owned()),
    };
    let settings = Settings::load(&flags, std::iter::empty())?;
    let running =
        start_guarded_by(settings, program()).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let (client, token) = (reqwest::Client::new(), running.admin_token.reveal().to_owned());
    let post = async |path: &str, body: Value| {
        let request = client.post(format!("{}{path}", running.url)).bearer_auth(&token).json(&body);
        tests::expect(request.send().await?, reqwest::StatusCode::CREATED).await
    };
    let mark = Mark::new();
    let link = json!({"kind": "process", "preset": "shell", "env": mark.env()});
    post("/api/v2/agents", json!({"name": "sh", "link": link})).await?;
    let gate = folder.path().join("gate");
    let script = format!("test -e {} || sleep 600", gate.display());
    let task = post("/api/v2/tasks", json!({"title": "t", "input": script})).await?;
    let id = task["id"].as_str().context("an id")?.to_owned();
    mark.until(SOON, |count| count >= 2).await?;
    std::fs::write(&gate, "")?;
    running.registry.inject(&format!("hive/tasks/{id}:1"), Fault::PanicInHandler)?;
    let path = format!("{}/api/v2/tasks/{id}", running.url);
    let ended = tokio::time::timeout(SOON, async {
        loop {
            let answer = client.get(&path).bearer_auth(&token).send().await?.json::<Value>().await?;
            if answer["state"] == "completed" {
                return anyhow::Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await??;
    assert_eq!((&ended["attempt"], &ended["failures"]), (&json!(2), &json!(1)), "{ended:#}");
    mark.until(SOON, |count| count == 0).await?;
    running.shutdown().await;
    Ok(())
}
