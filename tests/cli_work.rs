//! The worker's side on the command line: `hive agent lease`, and `hive task heartbeat`, `append`, `complete`, `fail` and
//! `finish` over the real program.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{Hive, Options};

use crate::cli::{at, block, fine, run, run_with, shown};

const NOWHERE: &str = "task_0000000000000";

/// Submits a task and takes it over the command line; answers its id.
async fn taken(hive: &Hive, task: Value) -> Result<String> {
    let id = hive.submit(&task).await?;
    let answer = shown(hive, &["agent", "lease", "ada", "--wait", "10s", "--json"])?;
    let held = &answer["assignments"][0];
    assert_eq!((&held["task_id"], &held["attempt"]), (&json!(id), &json!(1)), "{answer}");
    Ok(id)
}

#[tokio::test]
async fn lease_tells_what_to_do_as_a_table_or_with_its_input_as_json() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 3).await?;
    let (out, err) = fine(&hive, &["agent", "lease", "ada"])?;
    assert_eq!((out.as_str(), err.contains("nothing to do now")), ("", true), "{err}");
    let task = json!({"title": "first", "kind": "report", "input": {"a":  1}});
    let first = hive.submit(&task).await?;
    let (out, _) = fine(&hive, &["agent", "lease", &agent, "--wait", "10s", "--instance", "w1"])?;
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TASK", "ATTEMPT", "QUEUE", "KIND", "LEASE", "ENDS", "TITLE"]);
    assert_eq!((&lines[1][..4], lines[1][5]), (&[first.as_str(), "1", "default", "report"][..], "first"));
    for title in ["second", "third", "fourth"] {
        hive.submit(&json!({"title": title, "input": {"a":  1}})).await?;
    }
    let answer = shown(&hive, &["agent", "lease", "ada", "--max", "10", "--wait", "10s", "--json"])?;
    let titles: Vec<&Value> =
        answer["assignments"].as_array().context("a list")?.iter().map(|held| &held["title"]).collect();
    assert_eq!(titles, ["second", "third"], "never more than its capacity");
    assert_eq!(answer["assignments"][0]["input"], json!({"a": 1}));
    Ok(())
}

#[tokio::test]
async fn a_worker_in_shell_beats_writes_and_completes() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 1).await?;
    let id = taken(&hive, json!({"title": "t"})).await?;
    let beat = ["task", "heartbeat", &id, "--attempt", "1", "--progress", "0.4", "--message", "page 4 of 10"];
    let (out, err) = fine(&hive, &beat)?;
    assert!(out.contains("lease ends") && out.contains("canceled    no") && err.is_empty(), "{out}{err}");
    let progress = &hive.get(&format!("/api/v2/tasks/{id}")).await?["progress"];
    assert_eq!((&progress["fraction"], &progress["message"]), (&json!(0.4), &json!("page 4 of 10")));
    assert_eq!(
        shown(&hive, &["task", "heartbeat", &id, "--attempt", "1", "--json"])?["cancel_requested"],
        false
    );

    fine(&hive, &["task", "append", &id, "--attempt", "1", "-- begins\n"])?;
    let long = "ä".repeat(100_000);
    let told = run_with(at(&hive, &["task", "append", &id, "--attempt", "1", "-"]), &long)?;
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "", ""));
    assert_eq!(fine(&hive, &["task", "output", &id])?.0, format!("-- begins\n{long}"));

    let done = ["task", "complete", &id, "--attempt", "1", "--result", "{\"words\":  3}"];
    let used = [
        "--input-tokens",
        "812",
        "--output-tokens",
        "7",
        "--cost-usd",
        "0.01",
        "--cpu",
        "2s",
        "--memory",
        "1K",
    ];
    let (out, err) = fine(&hive, &[&done[..], &used[..]].concat())?;
    assert_eq!((out, err), (String::new(), format!("{id} is completed\n")));
    let again = shown(&hive, &[&done[..], &used[..], &["--json"]].concat())?;
    assert_eq!(again, json!({"state": "completed"}), "a repeat is answered the same");
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!(task["result"], json!({"words": 3}));
    assert_eq!(
        task["usage"],
        json!({"input_tokens": 812, "output_tokens": 7, "cost_usd": 0.01, "cpu_ms": 2_000, "peak_rss_bytes": 1_024})
    );
    let (out, _) = fine(&hive, &["task", "attempts", &id])?;
    assert!(out.contains("succeeded") && out.contains("812 tokens in"), "{out}");
    Ok(())
}

#[tokio::test]
async fn a_result_comes_from_the_flag_a_file_or_stdin_or_there_is_none() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 1).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("result.json");
    std::fs::write(&file, "{\"from\": \"file\"}\n")?;
    let file = format!("@{}", file.display());
    let ways = [
        (Some(file.as_str()), "", json!({"from": "file"})),
        (Some("-"), "[\"stdin\"]\n", json!(["stdin"])),
        (Some("-1"), "", json!(-1)),
        (None, "", Value::Null),
    ];
    for (result, stdin, expected) in ways {
        let id = taken(&hive, json!({"title": "t"})).await?;
        let mut arguments = vec!["task", "complete", &id, "--attempt", "1"];
        arguments.extend(result.into_iter().flat_map(|result| ["--result", result]));
        let told = run_with(at(&hive, &arguments), stdin)?;
        assert_eq!(told.code, 0, "{result:?}: {}", told.err);
        assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["result"], expected, "{result:?}");
    }
    let told = run(at(&hive, &["task", "complete", NOWHERE, "--attempt", "1", "--result", "hello"]))?;
    assert_eq!(told.code, 2, "{}", told.err);
    assert!(told.err.contains("--result does not hold JSON"), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn a_failure_is_tried_again_unless_that_is_no_use() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 1).await?;
    let id = taken(&hive, json!({"title": "t", "backoff": {"initial_ms": 3_600_000}})).await?;
    let fail = ["--attempt", "1", "--error-kind", "rate_limited", "--message", "the model is busy"];
    let (_, err) = fine(&hive, &[&["task", "fail", &id][..], &fail[..]].concat())?;
    assert_eq!(err, format!("{id} is scheduled\n"));
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!(task["error"], json!({"kind": "rate_limited", "message": "the model is busy"}));
    let id = taken(&hive, json!({"title": "u"})).await?;
    let told = shown(
        &hive,
        &["task", "fail", &id, "--attempt", "1", "--message", "no such page", "--no-retry", "--json"],
    )?;
    assert_eq!(told, json!({"state": "failed"}));
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!(task["error"], json!({"kind": "failed", "message": "no such page"}));
    Ok(())
}

#[tokio::test]
async fn who_does_not_hold_the_task_is_told_so_with_an_exit_code() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 1).await?;
    let id = taken(&hive, json!({"title": "t"})).await?;
    let reports: [&[&str]; 4] = [
        &["heartbeat", "--progress", "0.1"],
        &["append", "text"],
        &["complete"],
        &["fail", "--message", "m"],
    ];
    for report in reports {
        let with = |id: &str, attempt: &str| {
            run(at(&hive, &[&["task", report[0], id, "--attempt", attempt][..], &report[1..]].concat()))
        };
        let stale = with(&id, "2")?;
        assert_eq!((stale.code, stale.out.as_str()), (6, ""), "{report:?}: {}", stale.err);
        assert!(stale.err.starts_with("hive: "), "{}", stale.err);
        assert_eq!(with(NOWHERE, "1")?.code, 5, "{report:?}");
        assert_eq!(with(&id, "0")?.code, 8, "{report:?}");
        let missing = run(at(&hive, &[&["task", report[0], &id][..], &report[1..]].concat()))?;
        assert_eq!((missing.code, missing.err.contains("--attempt")), (2, true), "{}", missing.err);
    }
    let told = run(at(&hive, &["agent", "lease", "nobody"]))?;
    assert_eq!((told.code, told.err.contains("hive agent list")), (5, true), "{}", told.err);
    let told = run(at(&hive, &["agent", "lease", "ada", "--wait", "31s"]))?;
    assert_eq!((told.code, told.err.contains("at most 30000")), (8, true), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn with_its_own_key_an_agent_leases_by_id_and_a_viewer_not_at_all() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 1).await?;
    let key = |flags: &[&str]| -> Result<String> {
        Ok(fine(&hive, &[&["auth", "key", "create"], flags].concat())?.0.trim_end().to_owned())
    };
    let own = key(&["w", "--role", "agent", "--agent", "ada"])?;
    let viewer = key(&["v", "--role", "viewer"])?;
    let with = |token: &str, arguments: &[&str]| {
        let mut command = at(&hive, arguments);
        command.env("HIVE_TOKEN", token);
        run(command)
    };
    let id = hive.submit(&json!({"title": "t"})).await?;
    let by_name = with(&own, &["agent", "lease", "ada"])?;
    assert_eq!((by_name.code, by_name.err.contains("names its agent by id")), (4, true), "{}", by_name.err);
    let denied = with(&viewer, &["agent", "lease", &ada])?;
    assert_eq!((denied.code, denied.err.contains("yours is viewer")), (4, true), "{}", denied.err);
    let held = with(&own, &["agent", "lease", &ada, "--wait", "10s"])?;
    assert!(held.code == 0 && held.out.contains(&id), "{}{}", held.out, held.err);
    let done = with(&own, &["task", "complete", &id, "--attempt", "1"])?;
    assert_eq!(done.code, 0, "{}", done.err);
    Ok(())
}

#[tokio::test]
async fn many_ends_are_reported_line_by_line_and_a_bad_one_takes_no_other_with_it() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 3).await?;
    for number in 0..3 {
        hive.submit(&json!({"title": format!("t{number}")})).await?;
    }
    let mut held = hive.lease(&ada, 3, 10_000).await?;
    while held.len() < 3 {
        held.extend(hive.lease(&ada, 3, 10_000).await?);
    }
    let ids: Vec<&str> = held.iter().filter_map(|held| held["task_id"].as_str()).collect();
    // What was on its way to a call that had its answer already was handed back, and is attempt 2 by now.
    let lines = format!(
        "{{\"task_id\":\"{}\",\"attempt\":{},\"result\":{{\"n\":1.50}}}}\n\n{{\"task_id\":\"{}\",\"attempt\":99}}\n\
         {{\"task_id\":\"{}\",\"attempt\":{},\"error\":{{\"kind\":\"x\",\"message\":\"y\"}},\"retryable\":false}}\n",
        ids[0], held[0]["attempt"], ids[1], ids[2], held[2]["attempt"]
    );
    let told = run_with(at(&hive, &["task", "finish", "-"]), &lines)?;
    assert_eq!(told.out, format!("{} completed\n{} failed\n", ids[0], ids[2]));
    assert!(
        told.code == 8 && told.err.starts_with("line 3: ") && told.err.lines().count() == 1,
        "{}",
        told.err
    );
    let shown = fine(&hive, &["task", "show", ids[0], "--json"])?.0;
    assert!(shown.contains("\"result\":{\"n\":1.50}"), "byte for byte: {shown}");
    let told = run_with(at(&hive, &["task", "finish", "-"]), "\nno report\n")?;
    assert!(told.code == 2 && told.err.contains("line 2 of - is no report"), "{}", told.err);
    assert!(told.err.contains("each line is an object like {\"task_id\""), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn output_beyond_what_the_hive_keeps_is_cut_and_the_command_says_so() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LIMITS__OUTPUT_BYTES", 65_536)).await?;
    hive.agent("ada", &[], 1).await?;
    let id = taken(&hive, json!({"title": "t"})).await?;
    let append = ["task", "append", &id, "--attempt", "1", "-"];
    let told = run_with(at(&hive, &append), &"x".repeat(200_000))?;
    assert!(told.code == 0 && told.err.contains("some of it was cut"), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn the_worker_of_the_manual_works() -> Result<()> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md"))?;
    let worker = block(&page, "hive agent lease")?;
    let hive = Hive::start().await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("work.sh"), "#!/bin/sh\njq -e '.text | length'\n")?;
    hive.agent("ada", &[], 1).await?;
    let good = hive.submit(&json!({"title": "good", "input": {"text": "four"}})).await?;
    let bad = hive.submit(&json!({"title": "bad", "input": 7, "attempts_max": 1})).await?;
    let binaries = tests::program().parent().context("a folder")?.display().to_string();
    let mut shell = std::process::Command::new("bash");
    shell
        .args(["-c", worker])
        .env("PATH", format!("{binaries}:{}", std::env::var("PATH")?))
        .env("HIVE_SERVER", &hive.url)
        .env("HIVE_TOKEN", &hive.token)
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    use std::os::unix::process::CommandExt;
    let mut shell = shell.process_group(0).spawn()?;
    let good = hive.task_when(&good, |task| task["state"] == "completed").await;
    let bad = hive.task_when(&bad, |task| task["state"] == "failed").await;
    let group = rustix::process::Pid::from_child(&shell);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
    shell.wait()?;
    assert_eq!(good?["result"], json!(4));
    assert_eq!(bad?["error"]["message"], "work.sh ended with 5");
    Ok(())
}
