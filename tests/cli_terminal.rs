//! The program as somebody at a terminal sees it: `script` of util-linux makes one.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::json;
use tests::{Hive, program};

use crate::cli::{Told, bare, busy, run};
use crate::serve::Beside;

/// A terminal of so many columns in which a shell runs this line.
fn terminal(columns: u16, line: &str) -> Command {
    let mut command = bare(&[]);
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = Command::new("script");
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-q", "-e", "-c", &format!("stty cols {columns} rows 50; {line}"), "/dev/null"]);
    command.env("HIVE_PROGRAM", program()).env("SHELL", "/bin/sh");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command for this hive at a terminal.
fn seen(hive: &Hive, columns: u16, arguments: &str, env: &[(&str, &str)]) -> Result<Told> {
    let mut command = terminal(columns, &format!("exec \"$HIVE_PROGRAM\" {arguments}"));
    command.env("HIVE_SERVER", &hive.url).env("HIVE_TOKEN", &hive.token).envs(env.iter().copied());
    run(command)
}

#[tokio::test]
async fn tables_have_colours_and_relative_times_on_a_terminal() -> Result<()> {
    let (hive, _, task) = busy().await?;
    for arguments in ["task list", &format!("task show {task}"), "agent list", "agent show ada", "events"] {
        let told = seen(&hive, 160, arguments, &[])?;
        assert_eq!(told.code, 0, "{}", told.out);
        assert!(told.out.contains("\u{1b}[") && told.out.contains(" s ago"), "{arguments}: {:?}", told.out);
    }
    let list = seen(&hive, 160, "task list", &[])?.out;
    assert!(list.contains("in 59 min") || list.contains("s ago"), "{list}");
    Ok(())
}

#[tokio::test]
async fn no_color_and_dumb_terminals_get_tables_without_escapes() -> Result<()> {
    let (hive, _, _) = busy().await?;
    for env in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        for arguments in ["task list", "system", "agent list"] {
            let told = seen(&hive, 160, arguments, &[env])?;
            assert_eq!(told.code, 0);
            assert!(!told.out.contains('\u{1b}'), "{env:?} {arguments}: {:?}", told.out);
        }
        assert!(seen(&hive, 160, "task list", &[env])?.out.contains(" s ago"));
    }
    Ok(())
}

#[tokio::test]
async fn json_is_the_same_on_a_terminal_as_in_a_pipe() -> Result<()> {
    let (hive, _, task) = busy().await?;
    let there = crate::cli::fine(&hive, &["task", "show", &task, "--json"])?.0;
    let told = seen(&hive, 80, &format!("task show {task} --json"), &[])?;
    assert_eq!(told.out.replace("\r\n", "\n"), there);
    Ok(())
}

#[tokio::test]
async fn on_a_narrow_terminal_every_row_stays_on_one_line() -> Result<()> {
    let hive = Hive::start().await?;
    for number in 0..3 {
        hive.submit(&json!({"title": format!("{number} {}", "a long title ".repeat(10))})).await?;
    }
    for columns in [80, 70, 60] {
        let told = seen(&hive, columns, "task list", &[("NO_COLOR", "1")])?;
        let lines: Vec<&str> = told.out.lines().collect();
        assert_eq!(lines.len(), 4, "{columns} columns: {}", told.out);
        let widest = lines.iter().map(|line| line.trim_end().chars().count()).max();
        assert!(widest <= Some(columns.into()), "{widest:?} of {columns} columns: {}", told.out);
    }
    Ok(())
}

#[tokio::test]
async fn a_terminal_that_does_not_know_its_width_counts_as_80_columns() -> Result<()> {
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "short title"})).await?;
    let told = seen(&hive, 0, "task list", &[("NO_COLOR", "1")])?;
    assert_eq!(told.out.lines().count(), 2, "{}", told.out);
    assert!(told.out.contains("TITLE") && told.out.contains("short title"), "{}", told.out);
    Ok(())
}

fn serve(folder: &Path) -> Command {
    let line = format!("exec \"$HIVE_PROGRAM\" serve --bind 127.0.0.1:0 --data-dir '{}'", folder.display());
    let mut command = terminal(120, &line);
    command.stdin(Stdio::piped());
    command
}

#[tokio::test]
async fn the_banner_says_folder_address_and_token_file_and_ctrl_c_says_what_it_waits_for() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("data");
    for found in ["new", "1 task found"] {
        let mut serving = Beside::start(serve(&folder), &parent.path().join(format!("{found}.log")))?;
        let banner = serving.says("a second one ends at once").await?;
        let file = std::fs::read_to_string(folder.join("server.json"))?;
        let url: serde_json::Value = serde_json::from_str(&file)?;
        let url = url["url"].as_str().context("an address")?;
        for part in [
            format!("{} ({found})", folder.display()),
            url.to_owned(),
            format!("in {}/admin.token", folder.display()),
            format!("--data-dir {} task submit", folder.display()),
        ] {
            assert!(banner.contains(&part), "{part} in {banner}");
        }
        let token = std::fs::read_to_string(folder.join("admin.token"))?;
        let link = format!("{url}/#token={} signs in", token.trim());
        assert!(banner.contains(&link), "{link} in {banner}");
        assert_eq!(banner.matches(token.trim()).count(), 1, "the link alone has the token: {banner}");
        if found == "new" {
            let told = run(bare(&["task", "submit", "t", "--data-dir", &folder.display().to_string()]))?;
            assert_eq!(told.code, 0, "{}", told.err);
        }
        serving.stdin()?.write_all(b"\x03")?;
        let text = serving.says("Ctrl-C: no new work goes out").await?;
        assert!(
            text.contains("Waiting up to 10 s for requests under way; Ctrl-C again ends at once"),
            "{text}"
        );
        assert_eq!(serving.ended().await?, 0);
        assert!(serving.text().contains("the hive has stopped"), "{}", serving.text());
    }
    Ok(())
}

#[tokio::test]
async fn no_color_keeps_escapes_out_of_the_log_on_a_terminal() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let mut command = serve(&parent.path().join("data"));
    command.env("NO_COLOR", "1");
    let mut serving = Beside::start(command, &parent.path().join("log"))?;
    let text = serving.says("a second one ends at once").await?;
    assert!(text.contains("INFO") && !text.contains('\u{1b}'), "{text:?}");
    serving.signal(Signal::TERM)?;
    Ok(())
}
