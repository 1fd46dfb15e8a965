//! `hive doctor` sees what is wrong, says what to do about it, and changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Hive, Options, free_address, program};

/// Runs `hive doctor --json` on a folder and a port; answers its exit code and what it found.
fn doctor(folder: &Path, bind: &str) -> Result<(i32, Value)> {
    let mut command = Command::new(program());
    command.args(["doctor", "--json", "--bind", bind, "--data-dir"]).arg(folder).stdin(Stdio::null());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())?;
    Ok((output.status.code().context("ended by a signal")?, found))
}

/// The findings about one thing, each as "level: what; advice".
fn about(found: &Value, check: &str) -> Vec<String> {
    let checks = found["checks"].as_array().cloned().unwrap_or_default();
    let ours = checks.iter().filter(|finding| finding["check"] == check);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ours.map(|finding| {
        format!("{}: {}; {}", word(&finding["level"]), word(&finding["found"]), word(&finding["advice"]))
    })
    .collect()
}

/// The one finding about a thing.
fn one(found: &Value, check: &str) -> Result<String> {
    let mut all = about(found, check);
    ensure!(all.len() == 1, "{check}: {all:?} in {found:#}");
    all.pop().context("one")
}

fn sql(database: &Path, statement: &str) -> Result<()> {
    let output = Command::new("sqlite3").arg(database).arg(statement).output().context("install sqlite3")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn a_hive_that_serves_is_found_well_in_less_than_a_second() -> Result<()> {
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "t"})).await?;
    let bind = hive.url.trim_start_matches("http://").to_owned();
    let began = Instant::now();
    let (code, found) = doctor(hive.folder(), &bind)?;
    let took = began.elapsed();
    assert_eq!((code, &found["problems"]), (0, &json!(0)), "{found:#}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    for (check, words) in [
        ("settings", "all valid"),
        ("folder", "mode 700"),
        ("database", "checked"),
        ("log", "of write-ahead log"),
        ("clock", "not before the last event"),
        ("port", "answered by the hive of this folder"),
        ("server", "parts are healthy"),
        ("version", "as the hive that serves"),
        ("agents", "0 agents registered"),
    ] {
        let told = one(&found, check)?;
        assert!(told.starts_with("ok: ") && told.contains(words), "{told}");
    }
    assert!(one(&found, "disk")?.contains("bytes free"));
    for check in ["git", "files"] {
        one(&found, check)?;
    }
    let shell = about(&found, "preset").into_iter().find(|told| told.contains("shell: "));
    assert!(shell.context("a preset")?.starts_with("ok: shell: /"));
    let mut command = Command::new(program());
    let output = command.args(["doctor", "--data-dir"]).arg(hive.folder()).output()?;
    let lines = String::from_utf8(output.stdout)?;
    assert_eq!(lines.lines().count(), found["checks"].as_array().map_or(0, Vec::len), "{lines}");
    assert!(lines.lines().all(|line| ["ok ", "note ", "problem "].iter().any(|word| line.starts_with(word))));
    Ok(())
}

#[tokio::test]
async fn before_the_first_start_there_are_only_notes_and_nothing_is_made() -> Result<()> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("deep/data");
    let (code, found) = doctor(&folder, "127.0.0.1:0")?;
    assert_eq!((code, &found["problems"]), (0, &json!(0)), "{found:#}");
    assert!(one(&found, "folder")?.contains("the first start makes it"));
    assert!(one(&found, "server")?.contains("`hive serve` starts it"));
    assert_eq!(std::fs::read_dir(place.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_hive_that_has_ended_is_read_and_left_as_it_is() -> Result<()> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("data");
    let mut hive = Hive::start_with(Options::default().folder(&folder)).await?;
    hive.submit(&json!({"title": "t"})).await?;
    hive.terminate().await?;
    let before = std::fs::read(folder.join("hive.db"))?;
    let (code, found) = doctor(&folder, "127.0.0.1:0")?;
    assert_eq!(code, 0, "{found:#}");
    assert!(one(&found, "database")?.starts_with("ok: "), "{found:#}");
    assert!(one(&found, "server")?.starts_with("note: "), "{found:#}");
    assert_eq!(std::fs::read(folder.join("hive.db"))?, before);
    Ok(())
}

#[tokio::test]
async fn each_thing_that_does_not_work_is_a_problem_with_what_to_do_about_it() -> Result<()> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("data");
    let mut hive = Hive::start_with(Options::default().folder(&folder)).await?;
    hive.submit(&json!({"title": "t"})).await?;
    hive.terminate().await?;
    let expect = |check: &str, words: &str, advice: &str| -> Result<()> {
        let (code, found) = doctor(&folder, "127.0.0.1:0")?;
        let told = one(&found, check)?;
        assert_eq!((code, &found["problems"]), (74, &json!(1)), "{found:#}");
        assert!(told.starts_with("problem: ") && told.contains(words) && told.contains(advice), "{told}");
        Ok(())
    };
    let database = folder.join("hive.db");
    let whole = std::fs::read(&database)?;
    sql(&database, "UPDATE events SET at = at + 3600000000")?;
    expect("clock", "the last event is of", "set the clock")?;
    sql(
        &database,
        "INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('29990101000000', '2999-01-01')",
    )?;
    expect("database", "written by a newer hive", "start the newer hive")?;
    std::fs::write(&database, [&whole[..8_192], &[7; 20_000][..], &whole[28_192..]].concat())?;
    expect("database", "", "hive backup restore")?;
    std::fs::write(&database, "rubble")?;
    expect("database", "hive.db", "hive backup restore")?;
    Ok(())
}

#[tokio::test]
async fn a_port_that_another_program_has_is_a_problem_and_wrong_settings_end_with_2() -> Result<()> {
    let place = tempfile::tempdir()?;
    let other = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (code, found) = doctor(place.path(), &other.local_addr()?.to_string())?;
    assert_eq!(code, 74, "{found:#}");
    assert!(one(&found, "port")?.contains("taken by another program; --bind 127.0.0.1:0"), "{found:#}");
    let (code, found) = doctor(place.path(), "nowhere")?;
    assert_eq!(code, 2);
    assert!(one(&found, "settings")?.contains("--bind"), "{found:#}");
    let file = place.path().join("file");
    std::fs::write(&file, "")?;
    let (code, found) = doctor(&file, "127.0.0.1:0")?;
    assert!(code == 74 && one(&found, "folder")?.contains("is no folder"), "{found:#}");
    Ok(())
}

#[tokio::test]
async fn an_agent_whose_program_is_gone_is_named_and_a_folder_that_others_can_read_is_a_note() -> Result<()> {
    let place = tempfile::tempdir()?;
    let script = place.path().join("agent.sh");
    std::fs::write(&script, "#!/bin/sh\ncat\n")?;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
    let hive = Hive::start().await?;
    let link = json!({"kind": "process", "command": [script]});
    hive.post("/api/v2/agents", &json!({"name": "ada", "link": link}), 201).await?;
    let bind = free_address()?;
    let (code, found) = doctor(hive.folder(), &bind)?;
    assert_eq!(code, 0, "{found:#}");
    assert!(one(&found, "agents")?.contains("1 agent registered, 1 with a program"), "{found:#}");
    std::fs::remove_file(&script)?;
    std::fs::set_permissions(hive.folder(), PermissionsExt::from_mode(0o755))?;
    let (code, found) = doctor(hive.folder(), &bind)?;
    assert_eq!(code, 74, "{found:#}");
    let told = about(&found, "agents").pop().context("a finding")?;
    assert!(told.starts_with("problem: ada: ") && told.contains("agent.sh"), "{told}");
    assert!(one(&found, "folder")?.contains("chmod 700"), "{found:#}");
    Ok(())
}

#[tokio::test]
async fn a_hive_that_hangs_is_a_problem() -> Result<()> {
    let hive = Hive::start().await?;
    hive.halt()?;
    let answer = doctor(hive.folder(), "127.0.0.1:0");
    hive.signal(rustix::process::Signal::CONT)?;
    let (code, found) = answer?;
    assert_eq!(code, 3, "{found:#}");
    assert!(one(&found, "server")?.contains("does not answer at"), "{found:#}");
    Ok(())
}
