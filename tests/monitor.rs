//! `hive monitor` at a real terminal: what is seen, what keys do, a hive that goes away, and the terminal afterwards.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tests::terminal::Terminal;
use tests::{Hive, Options, free_address};

use crate::cli::{at, fine, run, shown};

fn watch(hive: &Hive, columns: u16, rows: u16) -> Result<Terminal> {
    Terminal::start(&at(hive, &["monitor"]), columns, rows)
}

/// The numbers of the events on a screen, the newest first.
fn seqs(screen: &str) -> Vec<i64> {
    let rows = screen
        .lines()
        .filter(|line| line.contains("task.") || line.contains("agent.") || line.contains("system."));
    rows.filter_map(|row| row.split([' ', '│']).find(|word| !word.is_empty())?.parse().ok()).collect()
}

/// How many seconds the hive is up, as the first line says.
fn up(screen: &str) -> Option<u64> {
    let words: Vec<&str> = screen.split(" up ").nth(1)?.split_whitespace().take(4).collect();
    let part = |unit: &str| {
        let place = words.iter().position(|word| *word == unit)?;
        words.get(place.checked_sub(1)?)?.parse::<u64>().ok()
    };
    Some(60 * part("min").unwrap_or(0) + part("s").unwrap_or(0))
}

#[tokio::test]
async fn somebody_sees_agents_tasks_and_events_as_they_come_also_after_the_hive_was_killed() -> Result<()> {
    let (folder, address) = (tempfile::tempdir()?, free_address()?);
    let start = || Hive::start_with(Options::default().folder(&folder.path().join("data")).bind(&address));
    let mut hive = start().await?;
    let mut seen = watch(&hive, 100, 40)?;
    let screen = seen.shows("● live").await?;
    ensure!(screen.contains(&hive.url) && screen.contains("Agent Hive 0."), "{screen}");
    seen.shows("health healthy").await?;
    seen.shows("none; `hive agent add` registers one").await?;
    let ada = hive.agent("ada", &[], 3).await?;
    hive.submit(&json!({"title": "count \u{1b}[31m the words", "attempts_max": 1})).await?;
    let held = hive.lease(&ada, 1, 10_000).await?;
    let screen =
        seen.until(|screen| screen.contains("1/3") && screen.contains("count \\u{1b}[31m the words")).await?;
    ensure!(screen.contains("ada") && screen.contains("AT WORK ON"), "{screen}");
    let task = held[0]["task_id"].as_str().context("an id")?;
    let report = json!({"attempt": held[0]["attempt"], "result": 1});
    hive.post(&format!("/api/v2/tasks/{task}/complete"), &report, 200).await?;
    seen.until(|screen| {
        screen.contains("task.completed") && screen.lines().any(|line| line.contains("completed 1 completed"))
    })
    .await?;

    hive.kill()?;
    let screen = seen.shows("● reconnecting for").await?;
    ensure!(screen.contains("what is shown was so before") && screen.contains("ada"), "{screen}");
    ensure!(
        !screen.contains("health healthy") && !screen.contains("up "),
        "nothing is claimed of it: {screen}"
    );
    drop(hive);
    let hive = start().await?;
    seen.shows("● live").await?;
    let epoch = hive.get("/api/v2/system").await?["epoch"].as_str().context("an epoch")?.to_owned();
    hive.submit(&json!({"title": "after the restart"})).await?;
    let head = hive.get("/api/v2/system").await?["log"]["last_seq"].as_i64().context("a seq")?;
    let screen = seen.until(|screen| seqs(screen).first() >= Some(&head)).await?;
    ensure!(screen.contains(&format!("{epoch}:")), "{screen}");
    let told = seqs(&screen);
    let whole: Vec<i64> = (told[told.len() - 1]..=told[0]).rev().collect();
    assert_eq!(told, whole, "no hole and no double across the restart");

    let lost = json!({"tasks": (0..10).map(|number| json!({"title": number.to_string(), "attempts_max": 1})).collect::<Vec<_>>()});
    hive.post("/api/v2/tasks/bulk", &lost, 200).await?;
    while hive.get("/api/v2/system").await?["tasks"]["failed"].as_i64() < Some(10) {
        let assignments = hive.lease(&ada, 3, 10_000).await?;
        ensure!(!assignments.is_empty(), "not all of them came");
        for assignment in assignments {
            let path = format!("/api/v2/tasks/{}/fail", assignment["task_id"].as_str().context("an id")?);
            let error = json!({"attempt": assignment["attempt"], "error": {"kind": "k", "message": "m"}});
            hive.post(&path, &error, 200).await?;
        }
    }
    let screen = seen.shows("dead_letter_burst: 1").await?;
    ensure!(screen.contains("1 alert"), "{screen}");
    seen.types("q")?;
    assert_eq!((seen.ended().await?, seen.left_behind().await?), (Some(0), vec![]));
    Ok(())
}

#[tokio::test]
async fn keys_move_stop_and_explain_and_a_terminal_may_change_its_size() -> Result<()> {
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "one"})).await?;
    let mut seen = watch(&hive, 80, 24)?;
    seen.shows("● live").await?;
    let screen = seen.shows("queued 1").await?;
    for part in ["agents", "tasks", "events", "alerts", "q ends"] {
        ensure!(screen.contains(part), "{part} in {screen}");
    }
    seen.types("?")?;
    seen.shows("next, previous pane").await?;
    seen.types("?")?;
    seen.until(|screen| !screen.contains("next, previous pane")).await?;

    seen.types("p")?;
    seen.shows("PAUSED").await?;
    hive.submit(&json!({"title": "two"})).await?;
    // Its clock goes on: it is drawn, and draws what was.
    let before = up(&seen.screen()).context("how long it is up")?;
    let screen = seen.until(|screen| up(screen) >= Some(before + 2)).await?;
    ensure!(screen.contains("queued 1"), "it stands still: {screen}");
    seen.types("p")?;
    let screen = seen.shows("queued 2").await?;
    ensure!(!screen.contains("PAUSED"), "{screen}");

    seen.resize(40, 12)?;
    let screen = seen.until(|screen| screen.contains("agents") && !screen.contains("tasks:")).await?;
    ensure!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
    seen.types("\t")?;
    seen.until(|screen| screen.contains("tasks: 2") && !screen.contains("agents")).await?;
    seen.types("\u{1b}[C")?;
    seen.shows("task.submitted").await?;
    seen.types("\u{1b}[Z")?;
    seen.shows("tasks: 2").await?;
    seen.resize(10, 4)?;
    seen.shows("too small;").await?;
    seen.resize(160, 50)?;
    seen.until(|screen| {
        ["agents", "tasks: 2", "task.submitted", "alerts"].iter().all(|part| screen.contains(part))
    })
    .await?;
    ensure!(seen.has_color(), "colours where they are wanted");
    seen.types("\u{3}")?;
    assert_eq!((seen.ended().await?, seen.left_behind().await?), (Some(0), vec![]), "Ctrl-C");

    let mut plain = at(&hive, &["monitor"]);
    plain.env("NO_COLOR", "1");
    let mut seen = Terminal::start(&plain, 80, 24)?;
    seen.shows("queued 2").await?;
    ensure!(!seen.has_color(), "NO_COLOR");
    let pid = Pid::from_raw(i32::try_from(seen.child.id())?).context("a process")?;
    kill_process(pid, Signal::TERM)?;
    assert_eq!((seen.ended().await?, seen.left_behind().await?), (Some(0), vec![]), "SIGTERM");
    Ok(())
}

#[tokio::test]
async fn whoever_is_not_let_in_any_more_is_told_on_the_terminal_as_it_was() -> Result<()> {
    let hive = Hive::start().await?;
    let key = hive.post("/api/v2/auth/keys", &json!({"name": "eve", "role": "viewer"}), 201).await?;
    let mut command = at(&hive, &["monitor"]);
    command.env("HIVE_TOKEN", key["key"].as_str().context("a key")?);
    let mut seen = Terminal::start(&command, 80, 24)?;
    seen.shows("● live").await?;
    let path = format!("/api/v2/auth/keys/{}", key["id"].as_str().context("an id")?);
    hive.request(reqwest::Method::DELETE, &path).send().await?.error_for_status()?;
    assert_eq!(seen.ended().await?, Some(4), "{}", seen.screen());
    assert_eq!(seen.left_behind().await?, [""; 0]);
    ensure!(seen.screen().contains("hive: "), "{}", seen.screen());
    command.env("HIVE_TOKEN", "hive_wrong");
    let mut seen = Terminal::start(&command, 80, 24)?;
    assert_eq!(seen.ended().await?, Some(4));
    assert_eq!(seen.left_behind().await?, [""; 0]);
    ensure!(!seen.written().contains("\u{1b}[?1049h"), "the terminal was never taken");
    Ok(())
}

/// Not a test of its own: what the next one starts at a terminal.
#[test]
fn panics_while_it_has_the_terminal() -> Result<()> {
    if std::env::var_os("HIVE_TESTS_PANIC").is_none() {
        return Ok(());
    }
    let mut taken = hive::monitor::terminal::Taken::take()?;
    taken.draw(|frame| frame.render_widget("drawn", frame.area()))?;
    panic!("as it may happen");
}

#[tokio::test]
async fn a_panic_leaves_the_terminal_as_it_was_and_can_be_read() -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "--exact",
        "monitor::panics_while_it_has_the_terminal",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    command.env("HIVE_TESTS_PANIC", "1");
    let mut seen = Terminal::start(&command, 80, 24)?;
    assert_eq!(seen.ended().await?, Some(101), "{}", seen.written());
    assert_eq!(seen.left_behind().await?, [""; 0]);
    ensure!(
        seen.written().contains("\u{1b}[?1049h") && seen.screen().contains("as it may happen"),
        "{}",
        seen.screen()
    );
    Ok(())
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_do_and_once_prints_one_picture() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 3).await?;
    hive.submit(&json!({"title": "one"})).await?;
    let told = run(at(&hive, &["monitor"]))?;
    assert_eq!((told.code, told.out.as_str()), (2, ""));
    ensure!(
        told.err.contains("this is no terminal") && told.err.contains("`hive monitor --once`"),
        "{}",
        told.err
    );
    let told = run(at(&hive, &["monitor", "--json"]))?;
    ensure!(told.code == 2 && told.err.contains("--json goes with --once"), "{}", told.err);

    let (out, err) = fine(&hive, &["monitor", "--once"])?;
    assert_eq!(err, "");
    let place = hive.get("/api/v2/system").await?;
    let place = format!("{}:{}", place["epoch"].as_str().context("an epoch")?, place["log"]["last_seq"]);
    for part in [hive.url.as_str(), "healthy", &place, "ada", "task.submitted", "1 queued"] {
        ensure!(out.contains(part), "{part} in {out}");
    }
    ensure!(!out.contains('\u{1b}'), "{out:?}");
    let picture = shown(&hive, &["monitor", "--once", "--json"])?;
    assert_eq!(picture["agents"], hive.get("/api/v2/agents?limit=200").await?);
    assert_eq!(
        (&picture["system"]["tasks"]["queued"], &picture["health"]["status"]),
        (&json!(1), &json!("healthy"))
    );
    assert_eq!(picture["events"]["items"].as_array().map(Vec::len), Some(3), "{}", picture["events"]);
    Ok(())
}
