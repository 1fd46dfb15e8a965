//! The workers of examples/ against the real program: what they do with tasks, stops, crashes and cancels.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Hive, Options, free_address};

use crate::serve::Beside;

/// The worker that speaks over a session, with the client library that `tests/run` installs.
async fn start_over_a_session(hive: &Hive) -> Result<(Beside, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let mut worker = begin_a_session(hive, &hive.folder().join("admin.token"), folder.path())?;
    worker.says("connected").await?;
    Ok((worker, folder))
}

fn begin_a_session(hive: &Hive, token: &Path, folder: &Path) -> Result<Beside> {
    let mut command = Command::new(crate::openapi::tool("venv/bin/python")?);
    command.arg(format!("{EXAMPLES}/worker_session.py")).args(["--slots", "2", "--agent", "ada"]);
    command.args(["--server", &hive.url, "--token-file"]).arg(token).stdin(Stdio::null());
    Beside::start(command, &folder.join("log"))
}

#[tokio::test]
async fn the_worker_over_a_session_registers_itself_once_and_ends_when_the_hive_says_no() -> Result<()> {
    let hive = Hive::start().await?;
    let (mut worker, _folder) = start_over_a_session(&hive).await?;
    let before = agents(&hive, "ada").await?;
    assert_eq!((before.len(), &before[0]["capacity"]), (1, &json!(2)));
    let (_second, _log) = start_over_a_session(&hive).await?;
    assert_eq!(agents(&hive, "ada").await?.len(), 1, "the second finds what the first has registered");
    let id = before[0]["id"].as_str().context("an id")?;
    hive.request(reqwest::Method::DELETE, &format!("/api/v2/agents/{id}")).send().await?;
    assert_eq!(worker.ended().await?, 1, "{}", worker.text());
    assert!(worker.text().contains("the hive says no: {"), "{}", worker.text());
    assert_eq!(agents(&hive, "ada").await?, Vec::<Value>::new(), "what was removed stays so");
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, "hive_nobody")?;
    let mut stranger = begin_a_session(&hive, &token, folder.path())?;
    assert_eq!(stranger.ended().await?, 1, "{}", stranger.text());
    assert!(stranger.text().contains("the hive says no: {"), "{}", stranger.text());
    Ok(())
}

#[tokio::test]
async fn the_worker_over_a_session_reports_results_failures_and_cancels() -> Result<()> {
    let hive = Hive::start().await?;
    let (_worker, _folder) = start_over_a_session(&hive).await?;
    let words = json!({"title": "t", "kind": "wordcount", "input": {"text": " three short  words\n"}});
    let wrong = json!({"title": "t", "kind": "wordcount", "input": {"text": 5}, "attempts_max": 1});
    let (mut ids, mut expected) = (Vec::new(), Vec::new());
    for (task, state, result) in [
        (&words, "completed", json!({"words": 3})),
        (&wrong, "failed", Value::Null),
        (&json!({"title": "t", "input": {"ä": [1, null, 1.5]}}), "completed", json!({"ä": [1, null, 1.5]})),
        (&words, "completed", json!({"words": 3})),
    ] {
        ids.push(hive.submit(task).await?);
        expected.push((json!(state), result));
    }
    for (id, (state, result)) in ids.iter().zip(expected) {
        let ended = hive.task_when(id, is_ended).await?;
        assert_eq!(
            (&ended["state"], &ended["result"], &ended["attempt"]),
            (&state, &result, &json!(1)),
            "{ended}"
        );
    }
    let long = hive.submit(&json!({"title": "t", "input": {"work_ms": 600_000}})).await?;
    hive.task_when(&long, |task| task["state"] == "working").await?;
    hive.post(&format!("/api/v2/tasks/{long}/cancel"), &json!({}), 200).await?;
    hive.task_when(&long, |task| task["state"] == "canceled").await?;
    Ok(())
}

#[tokio::test]
async fn the_worker_over_a_session_holds_its_work_through_a_crash_of_the_hive() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, bind) = (folder.path().join("data"), free_address()?);
    let options = || Options::default().folder(&data).bind(bind.clone());
    let mut hive = Hive::start_with(options()).await?;
    let (mut worker, _log) = start_over_a_session(&hive).await?;
    let slow = json!({"title": "t", "input": {"work_ms": 1_500}});
    let (one, two) = (hive.submit(&slow).await?, hive.submit(&slow).await?);
    for id in [&one, &two] {
        // It has arrived: what is on its way when the hive crashes waits until its lease expires.
        worker.says(&format!("{id} attempt 1: begins")).await?;
    }
    hive.kill()?;
    worker.says("connecting again").await?;
    let hive = Hive::start_with(options()).await?;
    for id in [&one, &two] {
        let ended = hive.task_when(id, is_ended).await?;
        assert_eq!((&ended["state"], &ended["attempt"]), (&json!("completed"), &json!(1)), "{ended}");
    }
    let after = hive.submit(&json!({"title": "t", "input": 7})).await?;
    assert_eq!(hive.task_when(&after, is_ended).await?["result"], 7, "its slots are open again");
    Ok(())
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// The two workers: how each is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Example {
    Python,
    Shell,
}

impl Example {
    /// Starts it for a hive; it holds one assignment at a time.
    async fn start(self, hive: &Hive, name: &str) -> Result<(Beside, tempfile::TempDir)> {
        let token = hive.folder().join("admin.token").display().to_string();
        self.start_with(&["--server", &hive.url, "--token-file", &token, "--agent", name], None).await
    }

    async fn start_with(self, flags: &[&str], place: Option<&Path>) -> Result<(Beside, tempfile::TempDir)> {
        let folder = tempfile::tempdir()?;
        let mut command = match self {
            Self::Python => Command::new("python3"),
            Self::Shell => Command::new("bash"),
        };
        match self {
            Self::Python => command.arg(format!("{EXAMPLES}/worker.py")).args(["--capacity", "1"]),
            Self::Shell => command.arg(format!("{EXAMPLES}/worker.sh")),
        };
        command.args(flags).env_remove("HIVE_SERVER").stdin(Stdio::null());
        command.current_dir(place.unwrap_or(folder.path()));
        let mut worker = Beside::start(command, &folder.path().join("log"))?;
        worker.says("working as agent_").await?;
        Ok((worker, folder))
    }
}

fn is_ended(task: &Value) -> bool {
    ["completed", "failed", "canceled"].iter().any(|state| task["state"] == *state)
}

async fn agents(hive: &Hive, name: &str) -> Result<Vec<Value>> {
    let page = hive.get("/api/v2/agents").await?;
    let agents = page["items"].as_array().context("agents")?;
    Ok(agents.iter().filter(|agent| agent["name"] == name).cloned().collect())
}

async fn results_are_exact(example: Example) -> Result<()> {
    let hive = Hive::start().await?;
    let (mut worker, _folder) = example.start(&hive, "ada").await?;
    assert_eq!(agents(&hive, "ada").await?.len(), 1, "it registers itself");
    let words = json!({"text": " three short  words\n"});
    let cases = [
        (json!({"title": "t", "kind": "wordcount", "input": words}), json!({"words": 3})),
        (json!({"title": "t", "kind": "wordcount", "input": {"text": ""}}), json!({"words": 0})),
        (
            json!({"title": "t", "input": {"ä": [1, null, "\"'$(x)` \\"]}}),
            json!({"ä": [1, null, "\"'$(x)` \\"]}),
        ),
        (json!({"title": "t", "kind": "other", "input": "text"}), json!("text")),
        (json!({"title": "t", "input": [1, 2]}), json!([1, 2])),
        (json!({"title": "t"}), json!(null)),
    ];
    for (task, result) in cases {
        let id = hive.submit(&task).await?;
        let ended = hive.task_when(&id, is_ended).await?;
        assert_eq!((&ended["state"], &ended["attempt"]), (&json!("completed"), &json!(1)), "{task}: {ended}");
        assert_eq!(ended["result"], result, "{task}");
    }
    let wrong = json!({"title": "t", "kind": "wordcount", "input": {"text": 5}});
    let id = hive.submit(&wrong).await?;
    let ended = hive.task_when(&id, is_ended).await?;
    assert_eq!(
        (&ended["state"], &ended["attempt"]),
        (&json!("failed"), &json!(1)),
        "a wrong input stays wrong: {ended}"
    );
    worker.signal(Signal::TERM)?;
    assert_eq!(worker.ended().await?, 0, "{}", worker.text());
    let before = agents(&hive, "ada").await?;
    let (_again, _folder) = example.start(&hive, "ada").await?;
    let after = agents(&hive, "ada").await?;
    assert_eq!((after.len(), &after[0]["id"]), (1, &before[0]["id"]), "it finds itself again");
    Ok(())
}

async fn a_stop_finishes_what_is_held(example: Example) -> Result<()> {
    let hive = Hive::start().await?;
    let (mut worker, _folder) = example.start(&hive, "ada").await?;
    let held = hive.submit(&json!({"title": "held", "input": {"work_ms": 1_500}})).await?;
    hive.task_when(&held, |task| task["state"] == "working").await?;
    let next = hive.submit(&json!({"title": "next"})).await?;
    worker.signal(Signal::TERM)?;
    assert_eq!(worker.ended().await?, 0, "{}", worker.text());
    let task = hive.get(&format!("/api/v2/tasks/{held}")).await?;
    assert_eq!((&task["state"], &task["result"]), (&json!("completed"), &json!({"work_ms": 1_500})));
    assert_eq!(hive.get(&format!("/api/v2/tasks/{next}")).await?["state"], "queued", "it takes nothing new");
    Ok(())
}

async fn an_idle_worker_ends_with_0(example: Example) -> Result<()> {
    let hive = Hive::start().await?;
    for signal in [Signal::TERM, Signal::INT] {
        let (mut worker, _folder) = example.start(&hive, "ada").await?;
        let seen = |agent: &Value| !agent["last_activity_at"].is_null();
        let id = agents(&hive, "ada").await?[0]["id"].as_str().context("an id")?.to_owned();
        hive.until(&format!("/api/v2/agents/{id}"), seen).await?;
        worker.signal(signal)?;
        assert_eq!(worker.ended().await?, 0, "{}", worker.text());
        assert!(!worker.text().contains("Traceback"), "{}", worker.text());
    }
    // The hive may not have seen yet that the long poll is gone; it takes back then what it gave it, and charges nobody.
    let task = hive.submit(&json!({"title": "left alone"})).await?;
    let task = hive.task_when(&task, |task| task["state"] == "queued").await?;
    assert_eq!(task["failures"], 0, "{task}");
    Ok(())
}

async fn a_restart_is_survived(example: Example) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data")).bind(free_address()?);
    let mut hive = Hive::start_with(options.clone()).await?;
    let (mut worker, _folder) = example.start(&hive, "ada").await?;
    for round in 0..2 {
        let held = hive.submit(&json!({"title": "held", "input": {"work_ms": 300, "round": round}})).await?;
        hive.task_when(&held, |task| task["state"] == "working").await?;
        hive.kill()?;
        hive = Hive::start_with(options.clone()).await?;
        let task = hive.task_when(&held, is_ended).await?;
        assert_eq!((&task["state"], &task["attempt"]), (&json!("completed"), &json!(1)), "{}", worker.text());
        assert_eq!(task["result"]["round"], round);
    }
    // And with a long poll open, nothing held.
    hive.kill()?;
    hive = Hive::start_with(options.clone()).await?;
    let task = hive.submit(&json!({"title": "after", "input": 5})).await?;
    assert_eq!(hive.task_when(&task, is_ended).await?["result"], 5, "{}", worker.text());
    worker.signal(Signal::TERM)?;
    assert_eq!(worker.ended().await?, 0, "{}", worker.text());
    Ok(())
}

async fn a_cancel_is_honoured(example: Example) -> Result<()> {
    let hive = Hive::start().await?;
    let (mut worker, _folder) = example.start(&hive, "ada").await?;
    let long = hive.submit(&json!({"title": "long", "input": {"work_ms": 600_000}})).await?;
    hive.task_when(&long, |task| task["state"] == "working").await?;
    hive.post(&format!("/api/v2/tasks/{long}/cancel"), &json!({}), 200).await?;
    let task = hive.task_when(&long, is_ended).await?;
    assert_eq!(task["state"], "canceled", "{}", worker.text());
    assert_eq!(task["error"]["kind"], "canceled", "the worker ended it, not the grace: {task}");
    let next = hive.submit(&json!({"title": "next", "input": 6})).await?;
    assert_eq!(hive.task_when(&next, is_ended).await?["result"], 6, "{}", worker.text());
    let forced = hive.submit(&json!({"title": "forced", "input": {"work_ms": 600_000}})).await?;
    hive.task_when(&forced, |task| task["state"] == "working").await?;
    hive.post(&format!("/api/v2/tasks/{forced}/cancel"), &json!({"force": true}), 200).await?;
    let next = hive.submit(&json!({"title": "next", "input": 7})).await?;
    assert_eq!(
        hive.task_when(&next, is_ended).await?["result"],
        7,
        "a lost lease frees it: {}",
        worker.text()
    );
    worker.signal(Signal::TERM)?;
    assert_eq!(worker.ended().await?, 0, "{}", worker.text());
    Ok(())
}

async fn its_hive_is_found_beside_its_token(example: Example) -> Result<()> {
    let parent = tempfile::tempdir()?;
    let hive = Hive::start_with(Options::default().folder(&parent.path().join("hive-data"))).await?;
    let (_worker, _folder) = example.start_with(&["--agent", "ada"], Some(parent.path())).await?;
    let task = hive.submit(&json!({"title": "t", "input": 1})).await?;
    assert_eq!(hive.task_when(&task, is_ended).await?["result"], 1);
    Ok(())
}

async fn its_token_is_in_no_command_line(example: Example) -> Result<()> {
    let hive = Hive::start().await?;
    let (worker, _folder) = example.start(&hive, "ada").await?;
    let agent = agents(&hive, "ada").await?[0]["id"].as_str().context("an id")?.to_owned();
    // Its long poll is open then, and stays so while all command lines are read.
    hive.until(&format!("/api/v2/agents/{agent}"), |agent| !agent["last_activity_at"].is_null()).await?;
    let mut lines = 0;
    for entry in std::fs::read_dir("/proc")? {
        let line = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        assert!(!line.contains(&hive.token), "{line}");
        lines += usize::from(line.contains("worker.") || line.contains(&agent));
    }
    assert!(lines > 0, "the worker itself was not seen");
    assert!(!worker.text().contains(&hive.token));
    Ok(())
}

/// One test for each worker and each behaviour.
macro_rules! both {
    ($($behaviour:ident: $python:ident, $shell:ident;)*) => {$(
        #[tokio::test]
        async fn $python() -> Result<()> {
            $behaviour(Example::Python).await
        }

        #[tokio::test]
        async fn $shell() -> Result<()> {
            $behaviour(Example::Shell).await
        }
    )*};
}

both! {
    results_are_exact: the_python_worker_registers_itself_and_its_results_are_exact,
        the_shell_worker_registers_itself_and_its_results_are_exact;
    a_stop_finishes_what_is_held: the_python_worker_finishes_what_it_holds_at_sigterm,
        the_shell_worker_finishes_what_it_holds_at_sigterm;
    an_idle_worker_ends_with_0: the_idle_python_worker_ends_with_0, the_idle_shell_worker_ends_with_0;
    a_restart_is_survived: the_python_worker_survives_kills_of_the_hive, the_shell_worker_survives_kills_of_the_hive;
    a_cancel_is_honoured: the_python_worker_honours_a_cancel, the_shell_worker_honours_a_cancel;
    its_hive_is_found_beside_its_token: the_python_worker_finds_its_hive_beside_its_token,
        the_shell_worker_finds_its_hive_beside_its_token;
    its_token_is_in_no_command_line: the_python_workers_token_is_in_no_command_line,
        the_shell_workers_token_is_in_no_command_line;
}
