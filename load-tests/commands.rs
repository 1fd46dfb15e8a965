//! How long each command of `hive` takes against a server of this machine, from start to end of its process.
//!
//! Every command that `hive --help` and the help of its groups name is measured, but for those that go on until somebody
//! ends them; one that is missing here fails the measurement, so that none is forgotten.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::json;

use crate::server::{Server, program};

/// What the median of each command may take, in milliseconds.
const GOAL_MS: f64 = 200.0;
/// Runs of each command; the median needs some.
const ROUNDS: usize = 15;
/// Tasks that are there, so that lists have something to show.
const TASKS: usize = 1_000;
/// What runs until it is ended, or is a show of its own.
const NOT_MEASURED: [&str; 2] = ["serve", "demo"];

/// What was measured of one command, in milliseconds.
#[derive(Debug, Clone, Serialize)]
struct Measured {
    command: String,
    median_ms: f64,
    max_ms: f64,
}

/// Measures all commands and prints the table, slowest first.
///
/// # Errors
/// When a command fails, when one is not measured, or when a median is above its goal.
pub fn measure(server: &Server, as_json: bool) -> Result<()> {
    let mut clock = Clock { server, times: BTreeMap::new() };
    let folder = tempfile::tempdir()?;
    clock.prepare(folder.path())?;
    let all = leaves(&[])?;
    for round in 0..ROUNDS {
        clock.tasks(folder.path())?;
        clock.work(folder.path())?;
        clock.agents_and_queues(round)?;
        clock.keys_and_system(round)?;
        clock.local(folder.path(), round)?;
        let missing: Vec<&String> = all.iter().filter(|name| !clock.times.contains_key(*name)).collect();
        ensure!(missing.is_empty(), "not measured: {missing:?}");
    }
    let mut table: Vec<Measured> =
        clock.times.into_iter().map(|(name, times)| measured(name, times)).collect();
    table.sort_by(|a, b| b.median_ms.total_cmp(&a.median_ms));
    if as_json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({"scenario": "cli", "goal_ms": GOAL_MS, "table": table}))?
        );
    } else {
        println!(
            "cli: {ROUNDS} runs of each command against a hive with {TASKS} tasks, each a process of its own"
        );
        println!("{:<20} {:>10} {:>8}", "command", "median ms", "max ms");
        for row in &table {
            println!("{:<20} {:>10.1} {:>8.1}", row.command, row.median_ms, row.max_ms);
        }
        println!("(the goal for each median is {GOAL_MS} ms)");
    }
    let slow: Vec<&Measured> = table.iter().filter(|row| row.median_ms > GOAL_MS).collect();
    ensure!(slow.is_empty(), "above the goal: {slow:?}");
    Ok(())
}

fn measured(command: String, mut times: Vec<Duration>) -> Measured {
    times.sort_unstable();
    let millis = |time: Option<&Duration>| time.copied().unwrap_or_default().as_secs_f64() * 1_000.0;
    Measured { command, median_ms: millis(times.get(times.len() / 2)), max_ms: millis(times.last()) }
}

/// Runs commands and keeps how long each took.
struct Clock<'a> {
    server: &'a Server,
    times: BTreeMap<String, Vec<Duration>>,
}

impl Clock<'_> {
    fn prepare(&self, folder: &Path) -> Result<()> {
        let tasks: Vec<String> = (0..TASKS)
            .map(|number| json!({"title": number.to_string(), "requires": ["nobody"]}).to_string())
            .collect();
        std::fs::write(folder.join("tasks.jsonl"), tasks.join("\n"))?;
        std::fs::write(
            folder.join("one.jsonl"),
            json!({"title": "one", "requires": ["nobody"]}).to_string(),
        )?;
        let path = folder.join("tasks.jsonl").display().to_string();
        self.run(&["task", "bulk", &path], 0)?;
        self.run(&["agent", "add", "fails", "--capabilities", "fail", "--", "false"], 0)?;
        self.run(&["agent", "add", "hands", "--capabilities", "hands"], 0)?;
        Ok(())
    }

    fn tasks(&mut self, folder: &Path) -> Result<()> {
        let id = self.time("task submit", &["t", "--requires", "nobody"], 0)?;
        let file = folder.join("one.jsonl").display().to_string();
        self.time("task bulk", &[&file], 0)?;
        self.time("task list", &[], 0)?;
        self.time("task show", &[&id], 0)?;
        self.time("task explain", &[&id], 0)?;
        self.time("task attempts", &[&id], 0)?;
        self.time("task update", &[&id, "--priority", "6"], 0)?;
        self.time("task output", &[&id], 0)?;
        self.time("task cancel", &[&id], 0)?;
        self.time("task wait", &[&id], 1)?;
        let failed = self.run(&["task", "submit", "f", "--requires", "fail", "--attempts-max", "1"], 0)?;
        self.run(&["task", "wait", &failed], 1)?;
        self.time("task retry", &[&failed], 0)?;
        self.run(&["task", "wait", &failed], 1)?;
        self.time("task redrive", &[&failed], 0)?;
        Ok(())
    }

    /// The worker's side: one task that is completed, one that fails, one that is reported among many.
    fn work(&mut self, folder: &Path) -> Result<()> {
        let (id, attempt) = self.take()?;
        self.time("task heartbeat", &[&id, "--attempt", &attempt], 0)?;
        self.time("task append", &[&id, "--attempt", &attempt, "a line"], 0)?;
        self.time("task complete", &[&id, "--attempt", &attempt], 0)?;
        let (id, attempt) = self.take()?;
        self.time("task fail", &[&id, "--attempt", &attempt, "--message", "broken", "--no-retry"], 0)?;
        let (id, attempt) = self.take()?;
        let file = folder.join("ends.jsonl");
        std::fs::write(&file, format!("{{\"task_id\": \"{id}\", \"attempt\": {attempt}}}\n"))?;
        self.time("task finish", &[&file.display().to_string()], 0)?;
        Ok(())
    }

    /// Submits a task and leases it: its id and its attempt.
    fn take(&mut self) -> Result<(String, String)> {
        self.run(&["task", "submit", "w", "--requires", "hands"], 0)?;
        let told = self.time("agent lease", &["hands", "--max", "1", "--wait", "10s", "--json"], 0)?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        let assignment = told.pointer("/assignments/0").context("an assignment")?;
        let id = assignment.get("task_id").and_then(serde_json::Value::as_str).context("an id")?;
        let attempt = assignment.get("attempt").context("an attempt")?;
        Ok((id.to_owned(), attempt.to_string()))
    }

    fn agents_and_queues(&mut self, round: usize) -> Result<()> {
        let agent = format!("agent-{round}");
        self.time("agent add", &[&agent, "--capabilities", "none"], 0)?;
        for command in ["show", "drain", "resume", "restart"] {
            self.time(&format!("agent {command}"), &[&agent], 0)?;
        }
        self.time("agent update", &[&agent, "--capacity", "2"], 0)?;
        self.time("agent list", &[], 0)?;
        self.time("agent remove", &[&agent], 0)?;
        self.time("workspace list", &[], 0)?;
        self.time("workspace prune", &[], 0)?;
        self.time("queue list", &[], 0)?;
        self.time("queue pause", &["nightly"], 0)?;
        self.time("queue resume", &["nightly"], 0)?;
        self.time("queue limit", &["nightly", "4"], 0)?;
        self.time("queue show", &["nightly"], 0)?;
        Ok(())
    }

    fn keys_and_system(&mut self, round: usize) -> Result<()> {
        let key = format!("key-{round}");
        self.time("auth key create", &[&key, "--role", "viewer"], 0)?;
        self.time("auth key list", &[], 0)?;
        self.time("auth key remove", &[&key], 0)?;
        self.time("events", &[], 0)?;
        self.time("monitor", &["--once"], 0)?;
        self.time("system", &[], 0)?;
        for command in ["actors", "health", "metrics", "nodes", "performance"] {
            self.time(&format!("system {command}"), &[], 0)?;
        }
        for command in ["list", "limits", "contract", "health", "metrics"] {
            self.time(&format!("session {command}"), &[], 0)?;
        }
        self.time("session broadcast", &["hello"], 0)?;
        // nobody is connected: it is no such session
        self.time("session disconnect", &["ws_0123456789abcdef"], 5)?;
        Ok(())
    }

    fn local(&mut self, folder: &Path, round: usize) -> Result<()> {
        let file = folder.join(format!("{round}.db")).display().to_string();
        let restored = folder.join(format!("restored-{round}")).display().to_string();
        let pages = folder.join("pages").display().to_string();
        self.time("backup create", &[&file], 0)?;
        self.time("backup verify", &[&file], 0)?;
        self.time("backup restore", &[&file, "--data-dir", &restored], 0)?;
        let copied = format!("sqlite:{}", folder.join(format!("copied-{round}")).display());
        self.time("copy", &["--from", &format!("sqlite:{restored}"), "--to", &copied], 0)?;
        self.time("migrate run", &["--data-dir", &restored], 0)?;
        self.time("migrate status", &[], 0)?;
        self.time("doctor", &[], 0)?;
        self.time("config show", &[], 0)?;
        self.time("config check", &[], 0)?;
        self.time("completions", &["bash"], 0)?;
        self.time("man", &["--dir", &pages], 0)?;
        Ok(())
    }

    /// Runs a command once more and keeps its time; what it printed.
    fn time(&mut self, command: &str, arguments: &[&str], code: i32) -> Result<String> {
        let words: Vec<&str> = command.split(' ').chain(arguments.iter().copied()).collect();
        let began = Instant::now();
        let printed = self.run(&words, code)?;
        self.times.entry(command.to_owned()).or_default().push(began.elapsed());
        Ok(printed)
    }

    fn run(&self, words: &[&str], code: i32) -> Result<String> {
        let mut command = Command::new(program()?);
        // Below every flag, so that a restore into another folder goes there.
        command.args(words).env("HIVE__STORE__DATA_DIR", self.server.data()).stdin(Stdio::null());
        let output = command.output()?;
        if output.status.code() != Some(code) {
            bail!(
                "hive {} ended with {}: {}",
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// The commands below these words that have none below them, as `--help` names them.
fn leaves(words: &[String]) -> Result<Vec<String>> {
    let output = Command::new(program()?).args(words).arg("--help").output()?;
    let help = String::from_utf8(output.stdout)?;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Ok(vec![words.join(" ")]) };
    let listed = listed.split("\n\n").next().context("a list of commands")?;
    let mut found = Vec::new();
    // A command stands behind two spaces; what is further in continues the line before.
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        if name != "help" && !NOT_MEASURED.contains(&name) {
            found.extend(leaves(&[words, &[name.to_owned()]].concat())?);
        }
    }
    Ok(found)
}
