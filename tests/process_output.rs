//! What processes print: bounded, shaped, shown live.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::processes::{Mark, SOON};
use tests::{Hive, Options};

/// What a hive with small limits keeps of one attempt's output, in bytes.
const KEPT: usize = 256 * 1024;

async fn small() -> Result<(Hive, Mark)> {
    let hive = Hive::start_with(Options::default().set("HIVE__LIMITS__OUTPUT_BYTES", KEPT)).await?;
    let mark = Mark::new();
    hive.command_agent("sh", 2, json!({"preset": "shell", "env": mark.env()})).await?;
    Ok((hive, mark))
}

fn bytes_cut(output: &str) -> Option<u64> {
    let (_, rest) = output.split_once("\n[... ")?;
    rest.split_once(" bytes cut ...]\n")?.0.parse().ok()
}

#[tokio::test]
async fn a_flood_keeps_its_head_and_its_tail_and_says_how_much_was_cut() -> Result<()> {
    let (hive, _) = small().await?;
    let id = hive
        .ask("sh", "echo first line; head -c 200000000 /dev/zero | tr '\\0' x; echo; echo last line")
        .await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!(task["state"], "completed", "{task:#}");
    let output = hive.output(&id).await?;
    assert!(output.len() <= KEPT, "{} bytes", output.len());
    assert!(output.starts_with("first line\nxxx") && output.ends_with("xxx\nlast line\n"));
    let cut = bytes_cut(&output).context("the cut is marked")?;
    assert!(cut > 199_000_000, "{cut}");
    let page = hive.get(&format!("/api/v2/tasks/{id}/output?limit=200")).await?;
    let flags: Vec<bool> =
        page["items"].as_array().context("items")?.iter().map(|piece| piece["truncated"] == true).collect();
    assert_eq!(flags.iter().filter(|cut| **cut).count(), 1, "one piece is followed by a cut: {flags:?}");
    assert!(task["result"].to_string().len() < 2 * 1024 * 1024);
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_as_such_and_lose_nothing_around_them() -> Result<()> {
    let (hive, _) = small().await?;
    let id = hive.ask("sh", r"printf 'a\377\376b\000c\303\244d\n'").await?;
    assert_eq!(hive.task_ended(&id).await?["state"], "completed");
    assert_eq!(hive.output(&id).await?, "a\u{fffd}\u{fffd}b\u{fffd}cäd\n");
    Ok(())
}

#[tokio::test]
async fn a_process_that_prints_without_end_is_ended_by_a_cancel_and_keeps_within_its_limit() -> Result<()> {
    let (hive, mark) = small().await?;
    let id = hive.ask("sh", "yes").await?;
    let other = hive.ask("sh", "echo fine").await?;
    assert_eq!(hive.task_ended(&other).await?["state"], "completed", "beside the flood");
    hive.post(&format!("/api/v2/tasks/{id}/cancel"), &json!({}), 200).await?;
    assert_eq!(hive.task_ended(&id).await?["state"], "canceled");
    assert!(hive.output(&id).await?.len() <= KEPT);
    mark.until(SOON, |count| count == 0).await
}

#[tokio::test]
async fn output_is_followed_live_while_the_process_runs() -> Result<()> {
    let (hive, _) = small().await?;
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("gate");
    let id = hive
        .ask(
            "sh",
            &format!("echo before; while ! test -e {}; do sleep 0.02; done; echo after", gate.display()),
        )
        .await?;
    let path = format!("/api/v2/tasks/{id}/output?follow=true");
    let mut stream = hive.request(reqwest::Method::GET, &path).send().await?;
    let mut seen = String::new();
    let read = async {
        while let Some(part) = stream.chunk().await? {
            seen.push_str(&String::from_utf8_lossy(&part));
            if seen.contains("before") && !gate.exists() {
                let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
                assert_eq!(task["state"], "working", "it is seen while the process runs");
                std::fs::write(&gate, "")?;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(SOON, read).await??;
    assert!(seen.contains("event: output") && seen.contains("after"), "{seen}");
    let end = seen.split("event: end\n").nth(1).context("the end is told")?;
    assert!(end.contains("completed"), "{seen}");
    Ok(())
}

#[tokio::test]
async fn results_of_each_format_are_read_and_a_missing_one_fails_the_attempt() -> Result<()> {
    let (hive, _) = small().await?;
    hive.command_agent("json", 1, json!({"preset": "shell", "result": "json-last"})).await?;
    let id = hive.ask("json", r#"echo working; echo '{"words": 12, "ok":true}'"#).await?;
    assert_eq!(hive.task_ended(&id).await?["result"], json!({"words": 12, "ok": true}));
    let id = hive.ask("json", "echo nothing of the kind").await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!((&task["state"], &task["error"]["kind"]), (&json!("failed"), &json!("no_result")));
    Ok(())
}

#[tokio::test]
async fn what_the_task_says_reaches_the_process_by_stdin_argument_or_file() -> Result<()> {
    let hive = Hive::start().await?;
    for (name, prompt, command) in [
        ("by-stdin", "stdin", json!(["cat"])),
        ("by-argument", "argument", json!(["printf", "%s"])),
        ("by-file", "file", json!(["cat"])),
        ("by-word", "file", json!(["sh", "-c", "cat \"$0\"; echo end", "{prompt_file}"])),
    ] {
        hive.command_agent(name, 1, json!({"command": command, "prompt": prompt})).await?;
        let end = if name == "by-word" { "end" } else { "" };
        for (input, expected) in [
            (json!("zwei\nZeilen"), "zwei\nZeilen"),
            (json!({"prompt": "say it", "more": 1}), "say it"),
            (json!({"a": [1, 2]}), r#"{"a":[1,2]}"#),
        ] {
            let body = json!({"title": "t", "requires": [name], "input": input, "attempts_max": 1});
            let id = hive.submit(&body).await?;
            let task = hive.task_ended(&id).await?;
            let text: &Value = &task["result"]["text"];
            assert_eq!(text, &json!(format!("{expected}{end}")), "{name}: {task:#}");
        }
        let id = hive.submit(&json!({"title": "only a title", "requires": [name]})).await?;
        let text = hive.task_ended(&id).await?["result"]["text"].clone();
        assert_eq!(text, json!(format!("only a title{end}")), "{name}");
    }
    Ok(())
}
