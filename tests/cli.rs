//! The command line over the real program: how its tests run it, and what holds for every command.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tests::{Hive, PATIENCE, program};

/// What a command left.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, in an environment that says nothing about any hive.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HIVE") {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").env_remove("COLUMNS").env("TERM", "xterm");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A command for this hive.
pub(crate) fn at(hive: &Hive, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command.env("HIVE_SERVER", &hive.url).env("HIVE_TOKEN", &hive.token);
    command
}

/// Runs it to its end, or ends it when it does not come.
pub(crate) fn run(mut command: Command) -> Result<Told> {
    told(command.spawn()?)
}

/// Runs it with something on stdin.
pub(crate) fn run_with(mut command: Command, stdin: &str) -> Result<Told> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("a stdin")?.write_all(stdin.as_bytes())?;
    told(child)
}

/// What a command leaves that runs already; ends it when it does not end by itself.
pub(crate) fn told(mut child: Child) -> Result<Told> {
    fn text(source: Option<impl Read>) -> std::io::Result<String> {
        let mut text = String::new();
        source.map_or(Ok(0), |mut source| source.read_to_string(&mut text))?;
        Ok(text)
    }
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|threads| {
        let (out, err) = (threads.spawn(|| text(out)), threads.spawn(|| text(err)));
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                break child.wait()?;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let out = out.join().map_err(|_| anyhow!("a reader panicked"))??;
        let err = err.join().map_err(|_| anyhow!("a reader panicked"))??;
        let code = status.code().with_context(|| format!("{status}, or never ended: {out}{err}"))?;
        Ok(Told { code, out, err })
    })
}

/// Runs a command for this hive that must end well; answers its stdout and stderr.
pub(crate) fn fine(hive: &Hive, arguments: &[&str]) -> Result<(String, String)> {
    let told = run(at(hive, arguments))?;
    ensure!(told.code == 0, "hive {arguments:?} ended with {}: {}{}", told.code, told.out, told.err);
    Ok((told.out, told.err))
}

/// Runs a command for this hive that must print one line of JSON and nothing else.
pub(crate) fn shown(hive: &Hive, arguments: &[&str]) -> Result<Value> {
    let (out, err) = fine(hive, arguments)?;
    ensure!(err.is_empty(), "hive {arguments:?} also noted {err}");
    ensure!(out.ends_with('\n') && out.lines().count() == 1, "hive {arguments:?} printed {out:?}");
    Ok(serde_json::from_str(&out)?)
}

/// The script of a page, in a block of its own, in which this stands.
pub(crate) fn block<'a>(page: &'a str, part: &str) -> Result<&'a str> {
    // Behind the word of the fence may stand what the runner of the pages does with it.
    let mut blocks =
        page.split("```bash").skip(1).filter_map(|rest| rest.split_once('\n')?.1.split("```").next());
    blocks.find(|block| block.contains(part)).with_context(|| format!("a script with {part}"))
}

/// Asks the API and answers the text as it came.
pub(crate) async fn answered(hive: &Hive, path: &str) -> Result<String> {
    let answer = hive.request(reqwest::Method::GET, path).send().await?;
    ensure!(answer.status() == 200, "{path} answered {}", answer.status());
    Ok(answer.text().await?)
}

/// Leases one task for an agent and reports on it; answers which.
pub(crate) async fn finish(hive: &Hive, agent: &str, verb: &str, report: Value) -> Result<String> {
    let held = hive.lease(agent, 1, 10_000).await?;
    let task = held.first().context("an assignment")?["task_id"].as_str().context("an id")?.to_owned();
    let mut report = report;
    report["attempt"] = held[0]["attempt"].clone();
    hive.post(&format!("/api/v2/tasks/{task}/{verb}"), &report, 200).await?;
    Ok(task)
}

/// A hive with something of everything in it.
pub(crate) async fn busy() -> Result<(Hive, String, String)> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &["rust"], 2).await?;
    let task = hive.submit(&json!({"title": "one", "input": {"a": 1}, "labels": {"team": "blue"}})).await?;
    hive.submit(&json!({"title": "later", "delay_ms": 3_600_000})).await?;
    let done = json!({"result": {"words": 3}, "usage": {"input_tokens": 812, "cost_usd": 0.01}});
    finish(&hive, &agent, "complete", done).await?;
    Ok((hive, agent, task))
}

#[tokio::test]
async fn json_is_exactly_what_the_api_answered() -> Result<()> {
    let (hive, agent, task) = busy().await?;
    let pairs = [
        (vec!["task", "list"], "/api/v2/tasks".to_owned()),
        (vec!["task", "show", &task], format!("/api/v2/tasks/{task}")),
        (vec!["task", "wait", &task], format!("/api/v2/tasks/{task}")),
        (vec!["task", "output", &task], format!("/api/v2/tasks/{task}/output")),
        (vec!["agent", "list"], "/api/v2/agents".to_owned()),
        (vec!["agent", "show", "ada"], format!("/api/v2/agents/{agent}")),
        (vec!["queue", "list"], "/api/v2/queues".to_owned()),
        (vec!["events", "--after", "0"], "/api/v2/events?after=0".to_owned()),
        (vec!["events", "--task", &task], format!("/api/v2/tasks/{task}/events")),
    ];
    for (mut arguments, path) in pairs {
        arguments.push("--json");
        let (out, err) = fine(&hive, &arguments)?;
        let expected = answered(&hive, &path).await?;
        assert_eq!(out.trim_end_matches('\n'), expected.trim_end_matches('\n'), "{arguments:?}");
        assert_eq!(err, "", "{arguments:?}");
    }
    let (system, there) = (shown(&hive, &["system", "--json"])?, hive.get("/api/v2/system").await?);
    for field in ["version", "started_at", "phase", "epoch", "tasks", "agents", "log"] {
        assert_eq!(system[field], there[field], "{field}");
    }
    Ok(())
}

#[tokio::test]
async fn what_changes_something_answers_json_too() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = shown(&hive, &["--json", "agent", "add", "ada"])?;
    assert_eq!((&agent["name"], &agent["capacity"]), (&json!("ada"), &json!(1)));
    let task = shown(&hive, &["task", "submit", "t", "--json"])?;
    let id = task["id"].as_str().context("an id")?;
    assert_eq!((&task["title"], &task["state"]), (&json!("t"), &json!("queued")));
    assert_eq!(shown(&hive, &["queue", "pause", "default", "--json"])?["paused"], true);
    assert_eq!(shown(&hive, &["queue", "resume", "default", "--json"])?["paused"], false);
    let held = hive.lease(agent["id"].as_str().context("an id")?, 1, 10_000).await?;
    let report =
        json!({"attempt": held[0]["attempt"], "error": {"kind": "x", "message": "y"}, "retryable": false});
    hive.post(&format!("/api/v2/tasks/{id}/fail"), &report, 200).await?;
    assert_eq!(shown(&hive, &["task", "retry", id, "--json"])?["state"], "queued");
    assert_eq!(shown(&hive, &["task", "cancel", id, "--json"])?["state"], "canceled");
    assert_eq!(shown(&hive, &["agent", "drain", "ada", "--json"])?["state"], "draining");
    assert_ne!(shown(&hive, &["agent", "resume", "ada", "--json"])?["state"], "draining");
    Ok(())
}

#[tokio::test]
async fn output_that_is_no_terminal_carries_no_escapes_and_whole_times() -> Result<()> {
    let (hive, _, task) = busy().await?;
    let commands = [
        vec!["task", "list"],
        vec!["task", "show", &task],
        vec!["agent", "list"],
        vec!["agent", "show", "ada"],
        vec!["events"],
        vec!["queue", "list"],
        vec!["system"],
    ];
    for arguments in commands {
        let (out, err) = fine(&hive, &arguments)?;
        assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "{arguments:?}: {out:?} {err:?}");
        assert!(!out.contains(" ago"), "{arguments:?}: {out}");
        assert!(out.lines().count() >= 2, "{arguments:?}: {out}");
    }
    Ok(())
}

#[tokio::test]
async fn a_title_cannot_steer_the_terminal_of_who_lists_it() -> Result<()> {
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "red \u{1b}[31m and\nmore"})).await?;
    let (out, _) = fine(&hive, &["task", "list"])?;
    assert!(out.contains("red \\u{1b}[31m and\\nmore"), "{out}");
    assert_eq!(out.lines().count(), 2, "{out}");
    Ok(())
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_command_quietly() -> Result<()> {
    let hive = Hive::start().await?;
    for number in 0..100 {
        hive.submit(&json!({"title": format!("task {number}"), "labels": {"long": "x".repeat(200)}})).await?;
    }
    let commands: [&[&str]; 7] = [
        &["events", "--limit", "200"],
        &["events", "--limit", "200", "--json"],
        &["task", "list", "--limit", "200", "--json"],
        &["system"],
        &["completions", "bash"],
        &["config", "show"],
        &["--help"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut command = at(&hive, arguments);
        command.stdout(writer);
        let told = run(command)?;
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{arguments:?}");
    }
    let line =
        format!("{} events --limit 200 --json | head -c 10; echo :${{PIPESTATUS[0]}}", program().display());
    let mut shell = Command::new("bash");
    shell.args(["-c", &line]).env("HIVE_SERVER", &hive.url).env("HIVE_TOKEN", &hive.token);
    let told = run({
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    })?;
    assert_eq!((told.out.as_str(), told.err.as_str()), ("{\"items\":[:0\n", ""));
    Ok(())
}

#[tokio::test]
async fn output_that_cannot_be_written_is_told() -> Result<()> {
    let hive = Hive::start().await?;
    for arguments in
        [&["system"][..], &["queue", "list", "--json"], &["config", "show"], &["completions", "zsh"]]
    {
        let mut command = at(&hive, arguments);
        command.stdout(File::options().write(true).open("/dev/full")?);
        let told = run(command)?;
        assert_eq!(told.code, 74, "{arguments:?} {}", told.err);
        assert!(told.err.contains("cannot write the output"), "{arguments:?} {}", told.err);
    }
    Ok(())
}

#[test]
fn help_names_every_command_and_every_exit_code_and_goes_to_stdout() -> Result<()> {
    let told = run(bare(&["--help"]))?;
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    for word in [
        "serve",
        "task",
        "agent",
        "queue",
        "events",
        "system",
        "backup",
        "config",
        "completions",
        "HIVE_TOKEN",
    ] {
        assert!(told.out.contains(word), "{word} in {}", told.out);
    }
    let codes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "70", "74", "130"];
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md"))?;
    for code in codes {
        let row = page.lines().find(|line| line.starts_with(&format!("| {code} | ")));
        let meaning = row.context(code)?.split('|').nth(2).context("a meaning")?.trim();
        let line = format!("{code:>5}  {meaning}");
        assert!(told.out.contains(&line), "{line:?} in {}", told.out);
    }
    let version = run(bare(&["--version"]))?;
    assert_eq!((version.code, version.out.starts_with("hive ")), (0, true));
    Ok(())
}
