//! Every exit code of docs/cli.md provoked, and how commands find their hive. 1 and 7 are in `cli_tasks`, 130 in
//! `serve_stops`.

use std::io::Write;
use std::net::TcpStream;

use anyhow::{Context, Result};
use serde_json::json;
use tests::{Hive, Options, free_address};

use crate::cli::{at, bare, busy, fine, finish, run, run_with};

const NOWHERE: &str = "task_0000000000000";

#[test]
fn nobody_there_ends_with_3_and_says_what_to_do() -> Result<()> {
    let empty = tempfile::tempdir()?;
    let address = free_address()?;
    for arguments in [&["system"][..], &["task", "submit", "t"], &["agent", "list", "--json"]] {
        let mut command = bare(arguments);
        command.env("HIVE_SERVER", format!("http://{address}")).current_dir(empty.path());
        let told = run(command)?;
        assert_eq!((told.code, told.out.as_str()), (3, ""), "{}", told.err);
        assert!(told.err.starts_with("hive: ") && told.err.contains(&address), "{}", told.err);
        assert!(told.err.contains("is it running?"), "{}", told.err);
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_or_missing_token_ends_with_4_and_is_not_shown() -> Result<()> {
    let hive = Hive::start().await?;
    let empty = tempfile::tempdir()?;
    let mut wrong = at(&hive, &["system"]);
    wrong.env("HIVE_TOKEN", "hive_not-the-token-at-all-but-long-enough");
    let mut missing = at(&hive, &["system"]);
    missing.env_remove("HIVE_TOKEN").current_dir(empty.path());
    let mut unfit = at(&hive, &["system"]);
    unfit.env("HIVE_TOKEN", "two words");
    let file = at(&hive, &["system", "--token-file", "/nowhere/token"]);
    for (command, reason) in [
        (wrong, "HIVE_TOKEN"),
        (missing, "no token was found"),
        (unfit, "HIVE_TOKEN"),
        (file, "/nowhere/token"),
    ] {
        let told = run(command)?;
        assert_eq!((told.code, told.out.as_str()), (4, ""), "{}", told.err);
        assert!(told.err.contains(reason), "{reason} in {}", told.err);
        assert!(!told.err.contains("not-the-token") && !told.err.contains("two words"), "{}", told.err);
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_exist_ends_with_5() -> Result<()> {
    let hive = Hive::start().await?;
    let commands = [
        vec!["task", "show", NOWHERE],
        vec!["task", "wait", NOWHERE],
        vec!["task", "cancel", NOWHERE],
        vec!["task", "retry", NOWHERE],
        vec!["task", "output", NOWHERE],
        vec!["events", "--task", NOWHERE],
        vec!["agent", "show", "agent_0000000000000"],
        vec!["agent", "drain", "nobody"],
        vec!["task", "submit", "t", "--agent", "nobody"],
        vec!["task", "list", "--agent", "nobody"],
    ];
    for arguments in commands {
        let told = run(at(&hive, &arguments))?;
        assert_eq!((told.code, told.out.as_str()), (5, ""), "{arguments:?}: {}", told.err);
        assert!(told.err.starts_with("hive: "), "{arguments:?}: {}", told.err);
    }
    Ok(())
}

#[tokio::test]
async fn what_the_present_state_forbids_ends_with_6() -> Result<()> {
    let (hive, _, done) = busy().await?;
    let retry = run(at(&hive, &["task", "retry", &done]))?;
    assert_eq!(retry.code, 6, "{}", retry.err);
    let cancel = run(at(&hive, &["task", "cancel", &done]))?;
    assert_eq!(cancel.code, 6, "{}", cancel.err);
    let twice = run(at(&hive, &["agent", "add", "ada"]))?;
    assert_eq!((twice.code, twice.err.contains("is called ada already")), (6, true), "{}", twice.err);
    let task = hive.get(&format!("/api/v2/tasks/{done}")).await?;
    assert_eq!(task["state"], "completed");
    Ok(())
}

#[tokio::test]
async fn what_the_hive_refuses_ends_with_8_and_every_reason() -> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LIMITS__QUEUE_TASKS", 2)).await?;
    let told = run(at(&hive, &["task", "submit", "", "--queue", "No Name", "--attempts-max", "0"]))?;
    assert_eq!((told.code, told.out.as_str()), (8, ""));
    for field in ["title", "queue", "attempts_max"] {
        assert!(told.err.contains(field), "{field} in {}", told.err);
    }
    let large = format!("\"{}\"", "x".repeat(2 << 20));
    let told = run_with(at(&hive, &["task", "submit", "t", "--input", "-"]), &large)?;
    assert_eq!(told.code, 8, "{}", told.err);
    let key = ["--idempotency-key", "k"];
    fine(&hive, &[&["task", "submit", "a"], &key[..]].concat())?;
    let told = run(at(&hive, &[&["task", "submit", "b"], &key[..]].concat()))?;
    assert_eq!(told.code, 8, "another body under the same key: {}", told.err);
    fine(&hive, &["task", "submit", "second"])?;
    let told = run(at(&hive, &["task", "submit", "third"]))?;
    assert_eq!((told.code, told.out.as_str()), (8, ""), "the queue is full: {}", told.err);
    let told = run(at(&hive, &["agent", "add", "No Name"]))?;
    assert_eq!(told.code, 8, "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn a_hive_that_cannot_serve_now_ends_a_command_with_9() -> Result<()> {
    let hive =
        Hive::start_with(Options::default().set("HIVE__SERVER__BODIES_IN_FLIGHT_BYTES", 1 << 20)).await?;
    let mut slow = TcpStream::connect(hive.url.trim_start_matches("http://"))?;
    write!(
        slow,
        "POST /api/v2/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{{",
        hive.token,
        1 << 20
    )?;
    let began = std::time::Instant::now();
    let told = loop {
        let told = run(at(&hive, &["task", "submit", "t"]))?;
        if told.code != 0 || began.elapsed() > tests::PATIENCE {
            break told;
        }
    };
    assert_eq!((told.code, told.out.as_str()), (9, ""), "{}", told.err);
    drop(slow);
    while run(at(&hive, &["task", "submit", "t"]))?.code != 0 {
        assert!(began.elapsed() < tests::PATIENCE, "the budget never came back");
    }
    Ok(())
}

#[test]
fn a_wrong_command_line_ends_with_2_and_nothing_on_stdout() -> Result<()> {
    let commands: [&[&str]; 11] = [
        &["nonsense"],
        &["task"],
        &["task", "submit"],
        &["task", "submit", "t", "--nonsense"],
        &["task", "show", "not-an-id"],
        &["task", "submit", "t", "--priority", "10"],
        &["task", "submit", "t", "--label", "team"],
        &["task", "submit", "t", "--timeout", "1m"],
        &["--bind", "127.0.0.1:0", "task", "list"],
        &["events", "--limit", "0"],
        &["completions", "nonsense"],
    ];
    for arguments in commands {
        let told = run(bare(arguments))?;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{arguments:?}: {}", told.err);
        assert!(!told.err.is_empty(), "{arguments:?}");
    }
    let token = run(bare(&["system", "--token", "secret"]))?;
    assert_eq!(token.code, 2, "no flag takes the token itself");
    let command = bare(&["task", "submit", "t", "--label", "a=1", "--label", "a=2"]);
    let told = run(command)?;
    assert_eq!((told.code, told.err.contains("--label a stands twice")), (2, true), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn commands_find_server_and_token_in_the_folder_by_flag_by_variable_and_by_place() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("hive-data");
    let hive = Hive::start_with(Options::default().folder(&folder)).await?;
    let shown = folder.display().to_string();
    let by_flag = bare(&["system", "--data-dir", &shown]);
    let mut by_variable = bare(&["system"]);
    by_variable.env("HIVE__STORE__DATA_DIR", &folder);
    let mut by_place = bare(&["system"]);
    by_place.current_dir(parent.path());
    let mut by_relative = bare(&["--data-dir", "../hive-data", "system"]);
    by_relative.current_dir(&folder);
    for command in [by_flag, by_variable, by_place, by_relative] {
        let told = run(command)?;
        assert_eq!((told.code, told.err.as_str()), (0, ""));
        assert!(told.out.contains(&hive.url), "{}", told.out);
    }
    let empty = tempfile::tempdir()?;
    let mut elsewhere = bare(&["system"]);
    elsewhere.current_dir(empty.path()).env("HIVE_SERVER", &hive.url).env("HIVE_TOKEN", &hive.token);
    assert_eq!(run(elsewhere)?.code, 0);
    let token_file = folder.join("admin.token").display().to_string();
    let mut by_file = bare(&["system", "--server", &hive.url, "--token-file", &token_file]);
    by_file.current_dir(empty.path()).env("HIVE_SERVER", "http://127.0.0.1:1").env("HIVE_TOKEN", "wrong");
    let told = run(by_file)?;
    assert_eq!(told.code, 0, "flags win over the environment: {}", told.err);
    Ok(())
}

#[tokio::test]
async fn the_token_of_a_folder_that_nobody_named_stays_on_this_machine() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("hive-data");
    let hive = Hive::start_with(Options::default().folder(&folder)).await?;
    // This address reaches the same hive, but does not look like this machine's.
    let abroad = hive.url.replace("127.0.0.1", "0.0.0.0");
    let mut command = bare(&["system", "--server", &abroad]);
    command.current_dir(parent.path());
    let told = run(command)?;
    assert_eq!((told.code, told.out.as_str()), (4, ""), "{}", told.err);
    assert!(told.err.contains("a remote hive needs its token in HIVE_TOKEN or --token-file"), "{}", told.err);
    let mut named = bare(&["system", "--server", &abroad, "--data-dir", "hive-data"]);
    named.current_dir(parent.path());
    assert_eq!(run(named)?.code, 0);
    Ok(())
}

#[tokio::test]
async fn after_a_crash_the_stale_address_is_told_with_its_file() -> Result<()> {
    let mut hive = Hive::start().await?;
    hive.kill()?;
    let told = run(bare(&["system", "--data-dir", &hive.folder().display().to_string()]))?;
    assert_eq!(told.code, 3);
    assert!(told.err.contains("server.json") && told.err.contains("has ended"), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn the_script_of_the_manual_acts_on_the_codes() -> Result<()> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md"))?;
    let script = crate::cli::block(&page, "--timeout 1h")?;
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let folder = tempfile::tempdir()?;
    let binaries = tests::program().parent().context("a folder")?.display().to_string();
    let shell = |script: &str| -> Result<std::process::Command> {
        let mut shell = std::process::Command::new("bash");
        let path = format!("{binaries}:{}", std::env::var("PATH")?);
        shell
            .args(["-c", script])
            .env("PATH", path)
            .env("HIVE_SERVER", &hive.url)
            .env("HIVE_TOKEN", &hive.token);
        shell
            .current_dir(folder.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        Ok(shell)
    };
    let child = shell(script)?.spawn()?;
    finish(&hive, &agent, "complete", json!({"result": {"pages": 3}})).await?;
    let output = child.wait_with_output()?;
    assert_eq!(String::from_utf8(output.stdout)?, "");
    assert_eq!(std::fs::read_to_string(folder.path().join("report.json"))?, "{\"pages\":3}\n");
    let child = shell(script)?.spawn()?;
    finish(&hive, &agent, "fail", json!({"error": {"kind": "x", "message": "y"}, "retryable": false}))
        .await?;
    assert!(String::from_utf8(child.wait_with_output()?.stdout)?.starts_with("it failed"));
    let output = shell(&script.replace("--timeout 1h", "--timeout 10ms"))?.output()?;
    assert!(String::from_utf8(output.stdout)?.starts_with("it takes longer"));
    Ok(())
}
