//! Process agents end to end: the real program starts real processes, and shows what became of them.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::processes::{Mark, SOON};
use tests::{Hive, Options, cli};

/// The shell, as an agent whose tasks are scripts.
fn shell(mark: &Mark) -> Value {
    json!({"preset": "shell", "env": mark.env()})
}

#[tokio::test]
async fn a_task_runs_as_a_process_and_its_result_output_and_use_are_stored() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.command_agent("sh", 1, shell(&Mark::new())).await?;
    let id = hive.ask("sh", "echo to the log >&2; echo result").await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!(task["state"], "completed", "{task:#}");
    assert_eq!(task["result"], json!({"text": "result"}));
    assert_eq!((&task["agent_id"], &task["crashes"]), (&json!(agent), &json!(0)));
    let usage = &task["usage"];
    assert!(usage["peak_rss_bytes"].as_u64() > Some(100_000), "{usage}");
    assert!(usage["cpu_ms"].is_u64(), "{usage}");
    let output = hive.output(&id).await?;
    assert!(output.contains("to the log\n") && output.contains("result\n"), "{output:?}");
    let attempts = hive.attempts(&id).await?;
    assert_eq!(attempts.len(), 1);
    assert_eq!((&attempts[0]["outcome"], &attempts[0]["workspace"]), (&json!("succeeded"), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn an_agent_takes_as_many_at_a_time_as_its_capacity_and_the_rest_waits() -> Result<()> {
    let hive = Hive::start().await?;
    let mark = Mark::new();
    let agent = hive.command_agent("sh", 3, shell(&mark)).await?;
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("gate");
    let script = format!("while ! test -e {}; do sleep 0.02; done", gate.display());
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(hive.ask("sh", &script).await?);
    }
    let there = hive.until(&format!("/api/v2/agents/{agent}"), |agent| agent["working"] == 3).await?;
    assert_eq!(there["state"], "working");
    let waiting = hive.get("/api/v2/tasks?state=queued").await?;
    assert_eq!(waiting["items"].as_array().context("items")?.len(), 4);
    std::fs::write(gate, "")?;
    for id in ids {
        assert_eq!(hive.task_ended(&id).await?["state"], "completed");
    }
    mark.until(SOON, |count| count == 0).await
}

#[tokio::test]
async fn a_command_that_fails_is_tried_again_and_tells_why() -> Result<()> {
    let hive = Hive::start().await?;
    hive.command_agent("sh", 1, shell(&Mark::new())).await?;
    let id = hive.ask("sh", "echo no such table: users >&2; exit 3").await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!((&task["state"], &task["failures"]), (&json!("failed"), &json!(3)));
    assert_eq!(task["error"]["kind"], "exit_code");
    let message = task["error"]["message"].as_str().context("a message")?;
    assert!(message.contains('3') && message.contains("no such table: users"), "{message}");
    let healed = hive.ask("sh", r#"test "$HIVE_ATTEMPT" = 2"#).await?;
    assert_eq!(hive.task_ended(&healed).await?["attempt"], 2);
    Ok(())
}

#[tokio::test]
async fn a_canceled_task_takes_its_processes_with_it() -> Result<()> {
    let hive = Hive::start().await?;
    let mark = Mark::new();
    hive.command_agent("sh", 2, shell(&mark)).await?;
    for force in [false, true] {
        let id = hive.ask("sh", "sleep 600 & setsid sleep 600 & sleep 600").await?;
        mark.until(SOON, |count| count >= 4).await?;
        hive.post(&format!("/api/v2/tasks/{id}/cancel"), &json!({"force": force}), 200).await?;
        let task = hive.task_ended(&id).await?;
        assert_eq!(task["state"], "canceled", "{task:#}");
        mark.until(SOON, |count| count == 0).await?;
        assert_eq!(hive.attempts(&id).await?[0]["outcome"], "canceled");
    }
    Ok(())
}

#[tokio::test]
async fn a_time_limit_ends_the_process_and_the_attempt_says_so_with_what_it_used() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__AGENTS__KILL_GRACE_MS", 300)).await?;
    let mark = Mark::new();
    let mut link = shell(&mark);
    link["timeout_ms"] = json!(400);
    hive.command_agent("short", 1, link).await?;
    hive.command_agent("sh", 1, shell(&mark)).await?;
    let stubborn = "trap '' TERM; while :; do sleep 0.05; done";
    let of_link = json!({"title": "t", "requires": ["short"], "input": stubborn, "attempts_max": 1});
    let of_task = json!({"title": "t", "requires": ["sh"], "input": stubborn, "attempts_max": 1,
        "timeouts": {"start_to_close_ms": 1_500}});
    for body in [of_link, of_task] {
        let id = hive.submit(&body).await?;
        let task = hive.task_ended(&id).await?;
        assert_eq!(task["state"], "failed", "{task:#}");
        let attempt = &hive.attempts(&id).await?[0];
        assert_eq!(attempt["outcome"], "timed_out", "{attempt:#}");
        assert!(attempt["usage"]["peak_rss_bytes"].is_u64(), "{attempt:#}");
    }
    mark.until(SOON, |count| count == 0).await
}

#[tokio::test]
async fn a_lease_call_for_a_process_agent_is_refused() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.command_agent("sh", 1, shell(&Mark::new())).await?;
    let path = format!("/api/v2/agents/{agent}/lease");
    let problem = hive.post(&path, &json!({"max": 1, "wait_ms": 0}), 409).await?;
    assert_eq!(problem["code"], "state_conflict");
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_not_installed_is_told_at_the_registration_and_at_the_start() -> Result<()> {
    let hive = Hive::start().await?;
    let missing = json!({"name": "m", "link": {"kind": "process", "command": ["surely-not-installed"]}});
    let problem = hive.post("/api/v2/agents", &missing, 422).await?;
    assert_eq!(problem["errors"][0]["field"], "link.command");
    assert!(problem["errors"][0]["message"].as_str().context("words")?.contains("surely-not-installed"));

    let folder = tempfile::tempdir()?;
    let program = folder.path().join("agent");
    std::fs::copy("/bin/true", &program)?;
    let agent = hive.command_agent("gone", 1, json!({"command": [program]})).await?;
    std::fs::remove_file(&program)?;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(hive.ask("gone", "x").await?);
    }
    let task = hive.task_when(&ids[0], |task| task["failures"].as_u64() > Some(0)).await?;
    assert_eq!(task["error"]["kind"], "program_missing", "{task:#}");
    assert!(task["error"]["message"].as_str().context("words")?.contains("agent"), "{task:#}");
    // It pauses, so that it does not use up the attempts of everything that waits.
    let failures = async {
        let tasks = hive.get("/api/v2/tasks?limit=200").await?;
        let tasks = tasks["items"].as_array().context("items")?.clone();
        anyhow::Ok(tasks.iter().filter_map(|task| task["failures"].as_u64()).sum::<u64>())
    };
    assert!(failures.await? <= 3, "attempts are used up while the program is missing");
    std::fs::copy("/bin/true", &program)?;
    for id in &ids {
        assert_eq!(hive.task_ended(id).await?["state"], "completed");
    }
    assert_eq!(hive.get(&format!("/api/v2/agents/{agent}")).await?["state"], "idle");
    Ok(())
}

#[tokio::test]
async fn values_of_the_environment_appear_in_no_answer_event_or_log() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LOG__LEVEL", "trace")).await?;
    let secret = "hunter2-very-secret";
    let link = json!({"preset": "shell", "env": {"API_KEY": secret}});
    let agent = hive.command_agent("sh", 1, link).await?;
    let says = hive.ask("sh", r#"echo "key=$API_KEY"; printf %s "$API_KEY" | cut -c1-7 >&2"#).await?;
    let fails = hive.ask("sh", r#"echo "bad key $API_KEY" >&2; exit 1"#).await?;
    let patch = hive
        .request(reqwest::Method::PATCH, &format!("/api/v2/agents/{agent}"))
        .json(&json!({"link": {"env": {"API_KEY": secret, "OTHER": "x"}}}));
    let patched = tests::expect(patch.send().await?, reqwest::StatusCode::OK).await?;
    assert_eq!(patched["link"]["env_names"], json!(["API_KEY", "OTHER"]));
    let mut seen = String::new();
    for id in [&says, &fails] {
        seen += &hive.task_ended(id).await?.to_string();
        seen += &json!(hive.attempts(id).await?).to_string();
        seen += &hive.output(id).await?;
    }
    for path in ["/api/v2/agents", "/api/v2/events?limit=200", "/api/v2/system/actors", "/metrics"] {
        let answer = hive.request(reqwest::Method::GET, path).send().await?;
        seen += &answer.text().await?;
    }
    let broken = json!({"name": "b", "link": {"kind": "process", "preset": "shell", "env": {"A B": secret}}});
    seen += &hive.post("/api/v2/agents", &broken, 422).await?.to_string();
    seen += &cli(&hive, &["agent", "show", &agent])?.1;
    seen += &hive.log();
    assert!(seen.contains("key=***") && seen.contains("bad key ***"), "the process did see it");
    assert!(
        !seen.contains(secret),
        "{}",
        seen.lines().find(|line| line.contains(secret)).unwrap_or_default()
    );
    Ok(())
}

#[tokio::test]
async fn the_environment_of_a_process_is_what_was_allowed_and_nothing_of_the_hive() -> Result<()> {
    let options = Options::default()
        .set("HIVE_TOKEN", "of-the-operator")
        .set("SOME_OTHER", "private")
        .set("SHARED", "given");
    let hive = Hive::start_with(options).await?;
    let mut link = shell(&Mark::new());
    link["inherit_env"] = json!(["SHARED"]);
    hive.command_agent("sh", 1, link).await?;
    let id = hive.ask("sh", "env").await?;
    let task = hive.task_ended(&id).await?;
    let text = task["result"]["text"].as_str().context("a text")?;
    assert!(text.contains("SHARED=given") && text.contains(&format!("HIVE_TASK_ID={id}")), "{text}");
    assert!(!text.contains("of-the-operator") && !text.contains("private"), "{text}");
    Ok(())
}
