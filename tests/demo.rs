//! `hive demo` over the real program: what it proves, and that it leaves nothing behind, however it ends.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{PATIENCE, program};

use crate::cli::{Told, bare, run};
use crate::serve::Beside;

/// A place for a demo's folder, with nothing in it.
struct Place {
    folder: tempfile::TempDir,
    /// Where what it says goes.
    logs: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, logs: tempfile::tempdir()? })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.logs.path().join("log")
    }

    /// `hive demo` with its folder here.
    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = bare(&["demo"]);
        command.args(arguments).env("TMPDIR", self.path());
        command
    }

    /// The folder of the demo that runs here.
    fn home(&self) -> Option<PathBuf> {
        std::fs::read_dir(self.path()).ok()?.filter_map(Result::ok).map(|entry| entry.path()).next()
    }

    /// The process that serves in it.
    async fn server(&self) -> Result<Pid> {
        let began = Instant::now();
        loop {
            let file = self.home().map(|home| home.join("hive-data/server.json"));
            let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
            if let Ok(announced) = serde_json::from_str::<Value>(&text) {
                let pid = i32::try_from(announced["pid"].as_i64().context("a pid")?)?;
                return Pid::from_raw(pid).context("a process id");
            }
            ensure!(began.elapsed() < PATIENCE, "no server announced itself");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The processes that belong here, as `pid command line`: by where their temporary files go, or where they stand.
    /// Guards have no environment, but stand in the demo's folder.
    fn processes(&self) -> Vec<String> {
        let variable = format!("TMPDIR={}", self.path().display());
        let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let is_here = |folder: &PathBuf| {
            let environ = std::fs::read(folder.join("environ")).unwrap_or_default();
            let is_marked =
                environ.split(|byte| *byte == 0).any(|pair| pair.starts_with(variable.as_bytes()));
            is_marked || std::fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.path()))
        };
        let shown = |folder: PathBuf| {
            let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            format!("{} {}", folder.display(), String::from_utf8_lossy(&words).replace('\0', " "))
        };
        folders.filter(is_here).map(shown).collect()
    }

    /// Fails when anything is left.
    fn is_clean(&self) -> Result<()> {
        let processes = self.processes();
        ensure!(processes.is_empty(), "processes are left: {processes:#?}");
        ensure!(self.home().is_none(), "{:?} is left", self.home());
        Ok(())
    }

    /// Starts a demo, and comes back when its agents are at work.
    async fn at_work(&self) -> Result<Beside> {
        let mut demo = Beside::start(self.demo(&["--agents", "30"]), &self.log())?;
        demo.says(" at work, ").await?;
        // the demo and its server; more are its agents
        let began = Instant::now();
        while self.processes().len() <= 2 {
            ensure!(began.elapsed() < PATIENCE, "no agent runs: {}", demo.text());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(demo)
    }
}

impl Drop for Place {
    /// A test that fails kills its demo, which then cannot clean up.
    fn drop(&mut self) {
        for process in self.processes() {
            let number = process.split([' ', '/']).find_map(|word| word.parse().ok());
            let _ = number.and_then(Pid::from_raw).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

/// The one line of JSON that a demo printed.
fn summary(told: &Told) -> Result<Value> {
    ensure!(told.out.lines().count() == 1, "not one line: {}{}", told.out, told.err);
    Ok(serde_json::from_str(&told.out)?)
}

#[test]
fn a_demo_finds_all_results_right_and_leaves_no_process_and_no_folder() -> Result<()> {
    let place = Place::new()?;
    let began = Instant::now();
    let told = run(place.demo(&[]))?;
    place.is_clean()?;
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{}", told.out);
    assert!(began.elapsed() < Duration::from_secs(60));
    for part in [
        "6 agents, 60 tasks",
        "60 of 60 tasks right",
        "63: 60 succeeded, 3 crashed on purpose and were tried again",
        "no process and no folder",
        "hive serve",
        "docs/agents.md",
    ] {
        assert!(told.out.contains(part), "{part} in {}", told.out);
    }
    assert!(!told.out.contains('\u{1b}'), "{:?}", told.out);
    Ok(())
}

#[test]
fn more_agents_do_more_tasks_and_json_tells_what_was_measured() -> Result<()> {
    let place = Place::new()?;
    let told = run(place.demo(&["--agents", "12", "--json"]))?;
    place.is_clean()?;
    let summary = summary(&told)?;
    assert_eq!((told.code, told.err.as_str(), &summary["ok"]), (0, "", &Value::Bool(true)), "{summary:#}");
    for (name, number) in [
        ("agents", 12),
        ("tasks", 120),
        ("tasks_right", 120),
        ("attempts", 126),
        ("attempts_succeeded", 120),
        ("attempts_crashed", 6),
    ] {
        assert_eq!(summary[name], number, "{name}: {summary:#}");
    }
    let figure = |pointer: &str| summary.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let [p50, p95, max] = ["p50_us", "p95_us", "max_us"].map(|name| figure(&format!("/attempt_time/{name}")));
    assert!(0 < p50 && p50 <= p95 && p95 <= max && max <= figure("/work_ms") * 1_000 + 1_000, "{summary:#}");
    assert!(figure("/work_ms") <= figure("/wall_ms"), "{summary:#}");
    assert!(figure("/cpu_ms") > 0 && figure("/peak_rss_bytes") > 0, "{summary:#}");
    Ok(())
}

#[test]
fn a_wrong_result_is_found_and_the_exit_code_says_so() -> Result<()> {
    let place = Place::new()?;
    let tools = tempfile::tempdir()?;
    let tool = tools.path().join("sha256sum");
    std::fs::write(&tool, "#!/bin/sh\ncat >/dev/null\necho 'c0ffee  -'\n")?;
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH")?);
    let wrong = |arguments: &[&str]| {
        let mut command = place.demo(arguments);
        command.env("PATH", &path);
        run(command)
    };
    let told = wrong(&[])?;
    place.is_clean()?;
    assert_eq!(told.code, 1, "{}{}", told.out, told.err);
    assert!(
        told.out.contains("50 of 60 tasks right") && told.out.contains("10 differences:"),
        "{}",
        told.out
    );
    let shown = told.out.lines().filter(|line| line.contains("the result is") && line.contains("\"c0ffee\""));
    assert_eq!(shown.count(), 10, "{}", told.out);
    assert!(!told.out.contains("Your turn"), "{}", told.out);

    let told = wrong(&["--json"])?;
    let summary = summary(&told)?;
    let count = summary["differences"].as_array().context("differences")?.len();
    assert_eq!((told.code, &summary["ok"], count), (1, &Value::Bool(false), 10), "{summary:#}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_killed_ends_the_demo_with_the_end_of_its_log_and_nothing_is_left() -> Result<()> {
    let place = Place::new()?;
    let mut demo = place.at_work().await?;
    kill_process(place.server().await?, Signal::KILL)?;
    let code = demo.ended().await?;
    place.is_clean()?;
    let text = demo.text();
    assert_eq!(code, 70, "{text}");
    assert!(text.contains("the hive of the demo has ended (signal: 9") && text.contains("its log"), "{text}");
    Ok(())
}

#[tokio::test]
async fn every_signal_that_asks_for_an_end_ends_it_with_130_and_nothing_is_left() -> Result<()> {
    for (signal, name) in [(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")] {
        let place = Place::new()?;
        let mut demo = place.at_work().await?;
        demo.signal(signal)?;
        let code = demo.ended().await?;
        place.is_clean()?;
        let text = demo.text();
        assert_eq!(code, 130, "{text}");
        assert!(text.contains(&format!("{name}: stopping the hive and cleaning up")), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_ctrl_c_ends_it_at_once_and_nothing_is_left() -> Result<()> {
    let place = Place::new()?;
    let mut demo = place.at_work().await?;
    // a server that stands still does not stop when it is asked to
    let server = place.server().await?;
    kill_process(server, Signal::STOP)?;
    demo.signal(Signal::INT)?;
    demo.says("once more does it at once").await?;
    let began = Instant::now();
    demo.signal(Signal::INT)?;
    let code = demo.ended().await?;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    place.is_clean()?;
    assert_eq!(code, 130, "{}", demo.text());
    Ok(())
}

#[tokio::test]
async fn a_signal_before_anything_runs_leaves_nothing_either() -> Result<()> {
    let place = Place::new()?;
    let mut demo = Beside::start(place.demo(&[]), &place.log())?;
    let began = Instant::now();
    while place.home().is_none() {
        ensure!(began.elapsed() < PATIENCE, "no folder came: {}", demo.text());
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    demo.signal(Signal::INT)?;
    let code = demo.ended().await?;
    place.is_clean()?;
    assert_eq!(code, 130, "{}", demo.text());
    Ok(())
}

#[test]
fn a_server_that_cannot_start_is_told_with_the_end_of_its_log_and_nothing_is_left() -> Result<()> {
    let place = Place::new()?;
    let mut command = Command::new("sh");
    // enough files for the demo, and not for a server
    command.args(["-c", "ulimit -n 14; exec \"$0\" demo"]).arg(program());
    command.env("TMPDIR", place.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = run(command)?;
    place.is_clean()?;
    assert_eq!(told.code, 70, "{}{}", told.out, told.err);
    assert!(told.err.contains("the hive of the demo has ended (exit status: "), "{}", told.err);
    assert!(told.err.contains("the end of its log:\n  "), "{}", told.err);
    Ok(())
}

#[test]
fn a_folder_that_is_to_be_kept_is_kept_and_named() -> Result<()> {
    let place = Place::new()?;
    let told = run(place.demo(&["--keep", "--json"]))?;
    let summary = summary(&told)?;
    let home = place.home().context("a folder")?;
    assert_eq!((told.code, &summary["folder"]), (0, &Value::from(home.display().to_string())), "{summary:#}");
    assert_eq!(place.processes(), Vec::<String>::new());
    for path in ["hive-data", "server.log", "agents/quality.sh", "office/handbook.md"] {
        assert!(home.join(path).exists(), "{path}");
    }
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_the_demo_quietly_and_nothing_is_left() -> Result<()> {
    let place = Place::new()?;
    let mut command = Command::new("bash");
    command.args(["-c", "set -o pipefail; \"$0\" demo | head -n 1 >/dev/null"]).arg(program());
    command.env("TMPDIR", place.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = run(command)?;
    place.is_clean()?;
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{}", told.out);
    Ok(())
}

#[test]
fn numbers_of_agents_that_make_no_sense_and_another_folder_are_refused() -> Result<()> {
    let place = Place::new()?;
    for arguments in [["--agents", "5"], ["--agents", "251"], ["--agents", "six"], ["--data-dir", "x"]] {
        let told = run(place.demo(&arguments))?;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{arguments:?}: {}", told.err);
    }
    place.is_clean()
}

/// `hive demo` at a terminal, which `script` of util-linux makes.
fn seen(place: &Place, arguments: &str) -> Result<Beside> {
    let mut command = place.demo(&[]);
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = Command::new("script");
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let line = format!("stty cols 100 rows 40; exec \"$HIVE_PROGRAM\" demo {arguments}");
    command
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("HIVE_PROGRAM", program())
        .env("SHELL", "/bin/sh");
    command.stdin(Stdio::piped());
    Beside::start(command, &place.log())
}

const HIDDEN: &str = "\u{1b}[?25l";
const SHOWN: &str = "\u{1b}[?25h";

/// Fails unless the cursor was hidden once and is there again.
fn has_its_cursor(text: &str) -> Result<()> {
    match (text.rfind(HIDDEN), text.rfind(SHOWN)) {
        (Some(hidden), Some(shown)) if hidden < shown => Ok(()),
        _ => bail!("the cursor is hidden: {text:?}"),
    }
}

#[tokio::test]
async fn on_a_terminal_a_table_is_drawn_over_itself_and_ctrl_c_brings_the_cursor_back() -> Result<()> {
    let place = Place::new()?;
    let mut demo = seen(&place, "")?;
    assert_eq!(demo.ended().await?, 0, "{}", demo.text());
    place.is_clean()?;
    let text = demo.text();
    has_its_cursor(&text)?;
    let frames: Vec<&str> = text.split("\u{1b}[?2026h").skip(1).collect();
    assert!(frames.len() > 2, "{text:?}");
    assert!(frames.iter().skip(1).all(|frame| frame.starts_with("\u{1b}[9F")), "{text:?}");
    let last = frames.last().context("a frame")?;
    assert!(last.contains("60 of 60") && last.contains("orchestration") && last.contains("done"), "{last}");

    let place = Place::new()?;
    let mut demo = seen(&place, "--agents 30")?;
    demo.says("working").await?;
    std::io::Write::write_all(&mut demo.stdin()?, b"\x03")?;
    assert_eq!(demo.ended().await?, 130, "{}", demo.text());
    place.is_clean()?;
    has_its_cursor(&demo.text())
}
