//! `hive serve` over the real program: what a start says, the folder, the token, the log, and what stands in its way.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tests::{Hive, Options, PATIENCE};

use crate::cli::{bare, fine, run, run_with};

/// A program that runs beside the test, with a file for what it says. Its whole process group ends with it.
pub(crate) struct Beside {
    child: Child,
    log: PathBuf,
}

impl Beside {
    /// Starts it; stdin is as the command has it.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        command.stdout(file.try_clone()?).stderr(file).process_group(0);
        Ok(Self { child: command.spawn()?, log: log.to_owned() })
    }

    /// All it said.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said that; answers all it said.
    pub(crate) async fn says(&mut self, words: &str) -> Result<String> {
        let began = Instant::now();
        loop {
            let text = self.text();
            if text.contains(words) {
                return Ok(text);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status} before it said {words:?}: {}", self.text());
            }
            if began.elapsed() > PATIENCE {
                bail!("it never said {words:?}: {text}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for its end; answers its exit code.
    pub(crate) async fn ended(&mut self) -> Result<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return status.code().with_context(|| format!("{status}: {}", self.text()));
            }
            if began.elapsed() > PATIENCE {
                bail!("it does not end: {}", self.text());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    pub(crate) fn stdin(&mut self) -> Result<std::process::ChildStdin> {
        self.child.stdin.take().context("a stdin")
    }

    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.child.id())?).context("a process id")
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.pid().map(|pid| kill_process_group(pid, Signal::KILL));
        let _ = self.child.wait();
    }
}

/// The lines of a JSON log.
///
/// # Errors
/// When one is none.
pub(crate) fn lines(log: &str) -> Result<Vec<Value>> {
    log.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

/// The line in which a start says where everything is.
async fn announced(serving: &mut Beside) -> Result<Value> {
    let text = serving.says("the hive serves").await?;
    lines(&text)?.into_iter().rfind(|line| line["message"] == "the hive serves").context("the line")
}

#[tokio::test]
async fn a_start_says_which_folder_it_is_how_many_tasks_it_found_where_it_answers_and_where_the_token_is()
-> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("hive-data");
    let serve = || {
        let mut command = bare(&["serve", "--bind", "127.0.0.1:0"]);
        command.current_dir(parent.path());
        command
    };
    let mut serving = Beside::start(serve(), &parent.path().join("first.log"))?;
    let line = announced(&mut serving).await?;
    assert_eq!(line["data_dir"], folder.display().to_string());
    assert_eq!(line["data"], "new");
    assert_eq!(line["token_file"], folder.join("admin.token").display().to_string());
    let url = line["url"].as_str().context("an address")?.to_owned();
    let told = run({
        let mut command = bare(&["system"]);
        command.current_dir(parent.path());
        command
    })?;
    assert_eq!((told.code, told.out.contains(&url)), (0, true), "{}{}", told.out, told.err);
    for number in 0..42 {
        let mut submit = bare(&["task", "submit", &format!("task {number}")]);
        submit.current_dir(parent.path());
        assert_eq!(run(submit)?.code, 0);
    }
    serving.signal(Signal::TERM)?;
    assert_eq!(serving.ended().await?, 0);
    let mut serving = Beside::start(serve(), &parent.path().join("second.log"))?;
    assert_eq!(announced(&mut serving).await?["data"], "42 tasks found");
    Ok(())
}

#[tokio::test]
async fn without_a_command_it_serves_and_settings_come_from_the_environment() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let mut command = bare(&[]);
    command
        .current_dir(parent.path())
        .env("HIVE__SERVER__BIND", "127.0.0.1:0")
        .env("HIVE__LOG__FORMAT", "text");
    command.env("HIVE__STORE__DATA_DIR", "elsewhere");
    let mut serving = Beside::start(command, &parent.path().join("log"))?;
    let text = serving.says("is up and humming").await?;
    assert!(text.contains(&format!("{} (new)", parent.path().join("elsewhere").display())), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let token = std::fs::read_to_string(parent.path().join("elsewhere/admin.token"))?;
    assert!(!text.contains(token.trim()) && !text.contains("token="), "a file is no terminal: {text}");
    Ok(())
}

#[tokio::test]
async fn the_token_is_for_the_owner_alone_and_stays_the_same_over_restarts() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("deep/hive-data");
    let mut tokens = HashSet::new();
    for number in 0..3 {
        let command = bare(&["serve", "--bind", "127.0.0.1:0", "--data-dir", &folder.display().to_string()]);
        let mut serving = Beside::start(command, &parent.path().join(format!("{number}.log")))?;
        announced(&mut serving).await?;
        assert_eq!(mode(&folder)?, 0o700);
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path)?, expected, "{}", path.display());
        }
        tokens.insert(std::fs::read_to_string(folder.join("admin.token"))?);
    }
    assert_eq!(tokens.len(), 1);
    let token = tokens.into_iter().next().unwrap_or_default();
    assert_eq!((token.len(), token.starts_with("hive_"), token.ends_with('\n')), (58, true, true));
    Ok(())
}

#[tokio::test]
async fn a_token_file_that_holds_none_stops_the_start_and_stays_as_it_is() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("data");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("admin.token"), "short")?;
    let told = run(bare(&["serve", "--bind", "127.0.0.1:0", "--data-dir", &folder.display().to_string()]))?;
    assert_eq!(told.code, 74, "{}", told.err);
    assert!(told.err.contains("admin.token does not hold a token"), "{}", told.err);
    assert_eq!(std::fs::read_to_string(folder.join("admin.token"))?, "short");
    Ok(())
}

#[tokio::test]
async fn no_token_is_in_the_log_of_any_level_nor_in_an_error() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let options = Options::default().folder(&parent.path().join("data")).set("HIVE__LOG__LEVEL", "trace");
    let wrong = "hive_wrong-but-as-long-as-a-token-has-to-be-for-a-header";
    let mut log = String::new();
    for _ in 0..2 {
        let mut hive = Hive::start_with(options.clone()).await?;
        let agent = hive.agent(&format!("agent-{}", hive.pid()), &[], 1).await?;
        hive.submit(&json!({"title": "t"})).await?;
        hive.lease(&agent, 1, 5_000).await?;
        fine(&hive, &["task", "list"])?;
        hive.post("/api/v2/tasks", &json!({"nonsense": 1}), 422).await?;
        hive.get("/health").await?;
        let mut errors = String::new();
        let client = reqwest::Client::new();
        for token in [hive.token.as_str(), wrong] {
            for path in ["/api/v2/nonsense", "/api/v2/tasks/nonsense", "/api/v2/tasks?nonsense=1"] {
                let request = client.request(Method::PUT, format!("{}{path}", hive.url)).bearer_auth(token);
                errors += &request.send().await?.text().await?;
            }
            let get = client.get(format!("{}/api/v2/tasks", hive.url));
            errors += &get.header("Authorization", format!("Basic {token}")).send().await?.text().await?;
        }
        let mut command = bare(&["system", "--server", &hive.url]);
        command.env("HIVE_TOKEN", wrong);
        errors += &run(command)?.err;
        hive.terminate().await?;
        log = hive.log();
        for (place, text) in [("log", &log), ("errors", &errors)] {
            for secret in [&hive.token, wrong, &hive.token[5..30]] {
                let line = text.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "in the {place}");
            }
        }
        assert!(errors.contains("unauthorized"), "{errors}");
    }
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("\"level\":\"DEBUG\""), "{log}");
    Ok(())
}

#[tokio::test]
async fn where_nobody_looks_every_line_of_the_log_is_one_json_object() -> Result<()> {
    let mut hive = Hive::start_with(Options::default().set("HIVE__LOG__LEVEL", "debug")).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    hive.submit(&json!({"title": "line\nbreak \u{1b}[31m \"quoted\""})).await?;
    hive.lease(&agent, 1, 5_000).await?;
    hive.post("/api/v2/tasks", &json!({}), 422).await?;
    assert_eq!(hive.terminate().await?.code(), Some(0));
    let lines = lines(&hive.log())?;
    for line in &lines {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{field} in {line}");
        }
    }
    let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    for message in
        ["the hive serves", "draining", "the hive has stopped; everything it acknowledged is stored"]
    {
        assert_eq!(
            messages.iter().filter(|there| **there == message).count(),
            1,
            "{message} in {messages:#?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_taken_port_ends_with_74_names_who_has_it_and_leaves_no_folder() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("data");
    let shown = folder.display().to_string();
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let told = run(bare(&["serve", "--bind", &address, "--data-dir", &shown]))?;
    assert_eq!((told.code, told.out.as_str()), (74, ""), "{}", told.err);
    let port = taken.local_addr()?.port();
    assert!(
        told.err.contains(&format!("port {port} on 127.0.0.1 is taken by another program")),
        "{}",
        told.err
    );
    assert!(told.err.contains("--bind 127.0.0.1:0"), "{}", told.err);
    assert!(!folder.exists());
    let hive = Hive::start_with(Options::default().folder(&folder)).await?;
    let own = hive.url.trim_start_matches("http://");
    let told = run(bare(&["serve", "--bind", own, "--data-dir", &shown]))?;
    assert_eq!(told.code, 74);
    assert!(told.err.contains(&format!("serves there already (process {})", hive.pid())), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn a_folder_in_use_ends_with_74_names_its_hive_and_does_it_no_harm() -> Result<()> {
    let hive = Hive::start().await?;
    let task = hive.submit(&json!({"title": "t"})).await?;
    let folder = hive.folder().display().to_string();
    for _ in 0..3 {
        let told = run(bare(&["serve", "--bind", "127.0.0.1:0", "--data-dir", &folder]))?;
        assert_eq!((told.code, told.out.as_str()), (74, ""), "{}", told.err);
        for part in ["is in use", &hive.url, &format!("process {}", hive.pid()), "--data-dir PATH"] {
            assert!(told.err.contains(part), "{part} in {}", told.err);
        }
    }
    let told = run(bare(&["task", "show", &task, "--data-dir", &folder]))?;
    assert_eq!(told.code, 0, "the first is still found: {}", told.err);
    hive.submit(&json!({"title": "u"})).await?;
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_made_or_written_ends_with_74_and_its_path() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let file = parent.path().join("file");
    std::fs::write(&file, "kept")?;
    let below = file.join("data");
    for folder in [file.as_path(), below.as_path(), Path::new("/proc"), Path::new("/proc/data")] {
        let shown = folder.display().to_string();
        let told = run(bare(&["serve", "--bind", "127.0.0.1:0", "--data-dir", &shown]))?;
        assert_eq!((told.code, told.out.as_str()), (74, ""), "{shown}: {}", told.err);
        assert!(told.err.contains(&shown) && told.err.contains("--data-dir PATH"), "{shown}: {}", told.err);
        assert!(!told.err.contains("panicked"), "{}", told.err);
    }
    assert_eq!(std::fs::read_to_string(&file)?, "kept");
    Ok(())
}

#[test]
fn a_database_that_is_none_ends_with_74_and_stays_as_it_is() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let database = parent.path().join("hive.db");
    let content = "this is no database, but it is long enough to be taken for one ".repeat(100);
    std::fs::write(&database, &content)?;
    let folder = parent.path().display().to_string();
    let told = run_with(bare(&["serve", "--bind", "127.0.0.1:0", "--data-dir", &folder]), "")?;
    assert_eq!((told.code, told.out.as_str()), (74, ""), "{}", told.err);
    assert!(told.err.contains("hive: "), "{}", told.err);
    assert_eq!(std::fs::read_to_string(&database)?, content);
    Ok(())
}

#[test]
fn an_address_that_is_not_here_ends_with_74() -> Result<()> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("data").display().to_string();
    let mut command = bare(&["serve", "--bind", "192.0.2.1:4242", "--data-dir", &folder]);
    command.stdin(Stdio::null());
    let told = run(command)?;
    assert_eq!(told.code, 74, "{}", told.err);
    assert!(told.err.contains("192.0.2.1 is not an address of this machine"), "{}", told.err);
    Ok(())
}
