//! `hive events --follow` and `hive session …` over the real program.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::watcher::{Said, Watcher};
use tests::{Hive, Options, PATIENCE, free_address};

use crate::cli::{at, fine, run, shown};
use crate::serve::Beside;

/// A command that goes on by itself: what it prints in one file, what it notes in another.
struct Following {
    beside: Beside,
    notes: std::path::PathBuf,
}

impl Following {
    fn start(hive: &Hive, arguments: &[&str], folder: &Path) -> Result<Self> {
        let notes = folder.join("notes");
        let known = at(hive, arguments);
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" 2>>\"$NOTES\""])
            .arg(known.get_program())
            .args(known.get_args());
        for (name, value) in known.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("NOTES", &notes).stdin(Stdio::null());
        Ok(Self { beside: Beside::start(command, &folder.join("out"))?, notes })
    }

    fn notes(&self) -> String {
        std::fs::read_to_string(&self.notes).unwrap_or_default()
    }

    /// Waits until it has printed so many whole lines.
    async fn lines(&self, count: usize) -> Result<Vec<String>> {
        let began = Instant::now();
        loop {
            let text = self.beside.text();
            if text.ends_with('\n') && text.lines().count() >= count {
                return Ok(text.lines().map(str::to_owned).collect());
            }
            if began.elapsed() > PATIENCE {
                bail!("{} of {count} lines came: {}", text.lines().count(), self.notes());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn end(&mut self, signal: Signal) -> Result<i32> {
        self.beside.signal(signal)?;
        self.beside.ended().await
    }
}

/// The whole log, page by page, each event as the API writes it.
async fn log(hive: &Hive) -> Result<Vec<Value>> {
    let (mut log, mut after) = (Vec::new(), 0);
    loop {
        let page = hive.get(&format!("/api/v2/events?limit=200&after={after}")).await?;
        log.extend(page["items"].as_array().context("items")?.iter().cloned());
        after = log.last().and_then(|event| event["seq"].as_i64()).unwrap_or(0);
        if page["next_cursor"].is_null() {
            return Ok(log);
        }
    }
}

async fn submit_many(hive: &Hive, count: usize) -> Result<()> {
    let tasks: Vec<Value> = (0..count).map(|number| json!({"title": number.to_string()})).collect();
    hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_follows_the_log_gets_every_event_once_across_a_kill_and_a_stop_of_the_hive() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, address) = (folder.path().join("data"), free_address()?);
    let start = || Hive::start_with(Options::default().folder(&data).bind(&address));
    let mut hive = start().await?;
    let arguments = ["events", "--follow", "--after", "0", "--json"];
    let mut following = Following::start(&hive, &arguments, folder.path())?;
    // Some before each break, some while nobody has seen the break yet, some after it.
    for round in 0..3 {
        submit_many(&hive, 200).await?;
        following.lines(400 * round + 100).await?;
        submit_many(&hive, 200).await?;
        match round {
            0 => hive.kill()?,
            1 => ensure!(hive.terminate().await?.success()),
            _ => continue,
        }
        drop(hive);
        hive = start().await?;
    }
    let log = log(&hive).await?;
    ensure!(log.len() >= 1_200, "{}", log.len());
    let printed = following.lines(log.len()).await?;
    ensure!(printed.len() == log.len(), "{} printed, {} in the log", printed.len(), log.len());
    for (line, event) in printed.iter().zip(&log) {
        ensure!(serde_json::from_str::<Value>(line)? == *event, "{line} is not {event}");
    }
    assert_eq!(following.end(Signal::INT).await?, 0, "Ctrl-C is how it ends: {}", following.notes());
    let notes = following.notes();
    ensure!(notes.lines().all(|line| line.starts_with("the hive ")), "{notes}");
    Ok(())
}

#[tokio::test]
async fn following_begins_with_the_newest_events_and_prints_a_line_for_each_that_comes() -> Result<()> {
    let (hive, folder) = (Hive::start().await?, tempfile::tempdir()?);
    for number in 0..3 {
        hive.submit(&json!({"title": number.to_string()})).await?;
    }
    let mut following = Following::start(&hive, &["events", "--follow", "--limit", "2"], folder.path())?;
    let begins: Vec<String> = following.lines(2).await?;
    let log = log(&hive).await?;
    for (line, event) in begins.iter().zip(log.iter().skip(log.len() - 2)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let text = |member: &str| event[member].as_str().unwrap_or("-");
        let expected =
            [&event["seq"].to_string(), text("at"), text("kind"), text("task_id"), "-", "-", "default"];
        ensure!(words.starts_with(&expected), "{words:?} for {event}");
    }
    let task = hive.submit(&json!({"title": "new"})).await?;
    let all = following.lines(3).await?;
    ensure!(all.len() == 3 && all[2].contains(&task) && all[2].contains("task.submitted"), "{all:?}");
    assert_eq!((following.end(Signal::TERM).await?, following.notes().as_str()), (0, ""));
    Ok(())
}

#[tokio::test]
async fn following_a_task_prints_all_of_it_and_nothing_of_others() -> Result<()> {
    let (hive, folder) = (Hive::start().await?, tempfile::tempdir()?);
    let task = hive.submit(&json!({"title": "mine"})).await?;
    submit_many(&hive, 5).await?;
    let arguments = ["events", "--follow", "--task", &task, "--json"];
    let mut following = Following::start(&hive, &arguments, folder.path())?;
    following.lines(1).await?;
    submit_many(&hive, 5).await?;
    hive.post(&format!("/api/v2/tasks/{task}/cancel"), &json!({}), 200).await?;
    let known = hive.get(&format!("/api/v2/tasks/{task}/events")).await?;
    let known = known["items"].as_array().context("items")?.clone();
    let printed = following.lines(known.len()).await?;
    let printed: Vec<Value> =
        printed.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    assert_eq!(printed, known);
    assert_eq!(following.end(Signal::INT).await?, 0);
    Ok(())
}

#[tokio::test]
async fn events_that_are_not_kept_any_more_and_a_log_that_is_another_one_end_it_with_a_word() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, address) = (folder.path().join("data"), free_address()?);
    let start = || Hive::start_with(Options::default().folder(&data).bind(&address));
    let mut hive = start().await?;
    submit_many(&hive, 20).await?;
    let mut following = Following::start(&hive, &["events", "--follow"], folder.path())?;
    following.lines(20).await?;
    ensure!(hive.terminate().await?.success());
    let alter = |sql: &str| -> Result<()> {
        // Of a suite on PostgreSQL the folder's neighbour says where its database is.
        if let Ok(url) = std::fs::read_to_string(data.with_extension("database")) {
            return tests::database::sql(&url, sql).map(drop);
        }
        let output = Command::new("sqlite3").arg(data.join("hive.db")).arg(sql).output();
        let output = output.context("install sqlite3: this test writes into a database with it")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    alter("DELETE FROM events WHERE seq <= 10")?;
    drop(hive);
    hive = start().await?;
    let told = run(at(&hive, &["events", "--follow", "--after", "4"]))?;
    assert_eq!((told.code, told.out.as_str()), (5, ""), "{}", told.err);
    let expected = "hive: events 5 to 10 are not kept any more\n  `hive events --follow --after 10` begins behind them\n";
    assert_eq!(told.err, expected);
    // Whoever was beyond them has lost nothing, and goes on.
    submit_many(&hive, 1).await?;
    let count = log(&hive).await?.len() + 10;
    assert_eq!(following.lines(count).await?.len(), count, "{}", following.notes());
    let told = run(at(&hive, &["events", "--follow", "--after", "1000"]))?;
    ensure!(
        told.code == 5 && told.err.contains("the log has no event 1000 yet; its last is"),
        "{}",
        told.err
    );

    ensure!(hive.terminate().await?.success());
    // As a restore does it.
    alter("UPDATE hive SET epoch = 'another'")?;
    drop(hive);
    let _hive = start().await?;
    assert_eq!(following.beside.ended().await?, 6);
    let notes = following.notes();
    ensure!(notes.contains("the log is another one now: a backup was restored"), "{notes}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_wish_a_wrong_token_and_a_hive_that_is_not_there_are_told_at_once() -> Result<()> {
    let hive = Hive::start().await?;
    let told = run(at(&hive, &["events", "--follow", "--after", "1", "--limit", "5"]))?;
    ensure!(told.code == 2 && told.err.contains("leave it out beside --after and --task"), "{}", told.err);
    let unknown = ["events", "--follow", "--task", "task_0123456789abc"];
    assert_eq!(run(at(&hive, &unknown))?.code, 5);
    let mut command = at(&hive, &["events", "--follow"]);
    command.env("HIVE_TOKEN", "hive_wrong");
    assert_eq!(run(command)?.code, 4);
    let mut command = at(&hive, &["events", "--follow"]);
    command.env("HIVE_SERVER", format!("http://{}", free_address()?));
    assert_eq!(run(command)?.code, 3);
    Ok(())
}

#[tokio::test]
async fn the_commands_about_sessions_list_them_speak_to_them_and_end_them() -> Result<()> {
    let hive = Hive::start().await?;
    assert_eq!(fine(&hive, &["session", "list"])?, (String::new(), "no sessions\n".to_owned()));
    let mut watcher = Watcher::connect(&hive, "system?subscriptions=system,tasks").await?;
    let id = watcher.frame().await?["connection_id"].as_str().context("an id")?.to_owned();
    watcher.of_type("dashboard_initialized").await?;
    let list = fine(&hive, &["session", "list"])?.0;
    let row: Vec<&str> = list.lines().nth(1).context("a row")?.split_whitespace().collect();
    ensure!(row.starts_with(&[&id, "system"]) && row.ends_with(&["system,", "tasks"]), "{list}");

    let (out, err) = fine(&hive, &["session", "broadcast", "restart at noon"])?;
    assert_eq!((out.as_str(), err.as_str()), ("", "said to 1 session that watch system\n"));
    let heard = watcher.of_type("operator_message").await?;
    assert_eq!(
        (&heard["message_type"], &heard["data"]),
        (&json!("notice"), &json!({"message": "restart at noon"}))
    );
    let data = [
        "session",
        "broadcast",
        "--topic",
        "tasks",
        "--type",
        "pause",
        "--data",
        "{\"minutes\": 5}",
        "--json",
    ];
    assert_eq!(
        shown(&hive, &data)?,
        json!({"subscription": "tasks", "message_type": "pause", "sessions": 1})
    );
    let heard = watcher.of_type("operator_message").await?;
    assert_eq!((&heard["subscription"], &heard["data"]), (&json!("tasks"), &json!({"minutes": 5})));
    for wrong in [&["session", "broadcast"][..], &["session", "broadcast", "x", "--topic", "bogus"]] {
        assert_eq!(run(at(&hive, wrong))?.code, 2, "{wrong:?}");
    }
    assert_eq!(run(at(&hive, &["session", "broadcast", "x", "--type", "Not A Word"]))?.code, 8);

    let health = fine(&hive, &["session", "health"])?.0;
    ensure!(health.contains("healthy") && health.contains("1, 0 behind"), "{health}");
    let limits = fine(&hive, &["session", "limits"])?.0;
    for fact in ["20 a second, 40 at once; one error each 5s", "64 KiB", "closed after 10m", "1.1.0"] {
        ensure!(
            limits.replace(" min", "m").replace(" s", "s").contains(&fact.replace(" s", "s")),
            "{fact}: {limits}"
        );
    }
    let contract = fine(&hive, &["session", "contract"])?.0;
    ensure!(contract.contains("1.1.0, 1.0.0"), "{contract}");
    ensure!(fine(&hive, &["session", "metrics"])?.0.contains("# TYPE hive_ws_"), "as Prometheus reads them");
    for (command, path) in
        [("limits", "limits"), ("contract", "contract"), ("list", "stats"), ("health", "health")]
    {
        let mut told = shown(&hive, &["session", command, "--json"])?;
        let mut answered = hive.get(&format!("/api/dashboard/websocket/{path}")).await?;
        for moment in ["timestamp", "last_updated"] {
            for value in [&mut told, &mut answered] {
                value.as_object_mut().context("an object")?.remove(moment);
            }
        }
        assert_eq!(told, answered, "{command}");
    }

    let (_, err) = fine(&hive, &["session", "disconnect", &id])?;
    assert_eq!(err, format!("{id} is closed with 4403; it may come back\n"));
    ensure!(matches!(watcher.end().await?.0, Said::Close(4403, _)));
    drop(watcher);
    hive.until("/api/dashboard/websocket/stats", |stats| stats["websocket_stats"]["total_connections"] == 0)
        .await?;
    let told = run(at(&hive, &["session", "disconnect", &id]))?;
    ensure!(told.code == 5 && told.err.contains("there is no connection"), "{}", told.err);
    Ok(())
}
