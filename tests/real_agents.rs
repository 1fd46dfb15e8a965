//! Real coding agents, as their makers ship them, against a local stand-in for the model endpoints.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tests::processes::{Mark, SOON};
use tests::{Hive, Options, free_address, program};

/// Where `tests/run` installs the agents and the stand-in.
fn bin() -> Result<PathBuf> {
    let target = program().parent().and_then(Path::parent).context("a target folder")?.to_owned();
    let bin = target.join("agents/node_modules/.bin");
    for name in ["claude", "codex", "llmock"] {
        ensure!(
            bin.join(name).exists(),
            "{name} is not in {}: run `tests/run`, which installs it",
            bin.display()
        );
    }
    Ok(bin)
}

/// A model endpoint that answers from a file.
struct Model {
    child: Child,
    url: String,
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Model {
    async fn start() -> Result<Self> {
        let address = free_address()?;
        let port = address.rsplit(':').next().context("a port")?;
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/fixture.json");
        let child = Command::new(bin()?.join("llmock"))
            .args(["-p", port, "-f"])
            .arg(fixture)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let model = Self { child, url: format!("http://{address}") };
        let wait = async {
            while tokio::net::TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, wait).await.context("the stand-in does not listen")?;
        Ok(model)
    }
}

/// A hive that finds the agents, with a home of its own and nothing of the machine's environment.
async fn hive(home: &Path) -> Result<Hive> {
    let path = format!("{}:{}", bin()?.display(), std::env::var("PATH")?);
    let options =
        Options::default().folder(&home.join("hive-data")).set("PATH", path).set("HOME", home.display());
    Hive::start_with(options).await
}

fn git(folder: &Path, words: &[&str]) -> Result<()> {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"];
    let status = Command::new("git").current_dir(folder).args(identity).args(words).status()?;
    ensure!(status.success(), "git {words:?}");
    Ok(())
}

/// A repository `greeting` with one commit.
fn repository(folder: &Path) -> Result<PathBuf> {
    let repo = folder.join("greeting");
    std::fs::create_dir(&repo)?;
    git(&repo, &["init", "-q", "-b", "main"])?;
    std::fs::write(repo.join("hello.sh"), "echo Hello, world\n")?;
    git(&repo, &["add", "-A"])?;
    git(&repo, &["commit", "-q", "-m", "greet"])?;
    Ok(repo)
}

/// What a user sees of a session of commands: each with its output, what differs from run to run made the same.
struct Transcript<'a> {
    hive: &'a Hive,
    folder: &'a Path,
    text: String,
}

impl Transcript<'_> {
    /// Runs a command in the folder as a user would, and answers what it printed.
    fn run(&mut self, words: &[&str]) -> Result<String> {
        let output = Command::new(program())
            .args(words)
            .current_dir(self.folder)
            .env("HIVE_SERVER", &self.hive.url)
            .env("HIVE_TOKEN", &self.hive.token)
            .env("COLUMNS", "110")
            .stdin(Stdio::null())
            .output()?;
        let printed = String::from_utf8(output.stdout)?;
        let told = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "hive {words:?}: {printed}{told}");
        let quoted: Vec<String> = words
            .iter()
            .map(|word| {
                if word.contains(' ') || word.contains('"') {
                    format!("'{word}'")
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        self.text += &format!("$ hive {}\n{printed}\n", quoted.join(" "));
        Ok(printed)
    }

    /// The text with what differs from run to run made the same: ids, times, sizes and folders.
    fn settled(&self, task: &Value) -> Result<String> {
        let of = |value: &Value| value.as_str().map(str::to_owned).context("a text");
        let number = |value: &Value| value.as_u64().context("a number");
        let (usage, result) = (&task["usage"], &task["result"]);
        let text = self
            .text
            .replace(&of(&task["id"])?, "task_0QWERTY123456")
            .replace(&of(&task["agent_id"])?, "agent_0QWERTY123456")
            .replace(&of(&task["correlation_id"])?, "5f3c1a9e0b7d4c2f8a6e1d3b5c7f9a0e")
            .replace(&of(&result["session_id"])?, "17e81817-fd1b-4aaf-a2a4-ea6ef5aa41a4")
            .replace(&format!("\"duration_ms\":{}", number(&result["duration_ms"])?), "\"duration_ms\":460")
            .replace(&format!("{} ms of CPU", grouped(number(&usage["cpu_ms"])?)), "944 ms of CPU")
            .replace(
                &format!("{} bytes at", grouped(number(&usage["peak_rss_bytes"])?)),
                "318,877,696 bytes at",
            )
            .replace(&self.folder.display().to_string(), "/home/you");
        let lines: Vec<String> = text.lines().map(settled_line).collect();
        Ok(lines.join("\n").trim().to_owned() + "\n")
    }
}

/// A number as the command line shows it: with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b","[..])).into_owned()
}

/// Moments differ from run to run.
fn settled_line(line: &str) -> String {
    let settled = line.split_inclusive(' ').map(|word| {
        let bare = word.trim_end();
        let is_moment = bare.len() == 27 && bare.starts_with("20") && bare.ends_with('Z');
        if is_moment {
            format!("2026-01-01T12:00:00.000000Z{}", &word[bare.len()..])
        } else {
            word.to_owned()
        }
    });
    settled.collect::<String>().trim_end().to_owned()
}

/// Compares with the block between the marks in docs/agents.md; with HIVE_TESTS_UPDATE set, writes it there.
fn documented(transcript: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md");
    let page = std::fs::read_to_string(&path)?;
    let (open, close) = (
        "<!-- transcript of a claude-code run: written by a test -->\n```text not-output=written-by-a-test\n",
        "```\n<!-- end of the transcript -->",
    );
    let (before, rest) = page.split_once(open).context("the mark before the transcript")?;
    let (there, after) = rest.split_once(close).context("the mark behind the transcript")?;
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{open}{transcript}{close}{after}"))?;
    } else if there != transcript {
        bail!("docs/agents.md shows another run; HIVE_TESTS_UPDATE=1 writes this one:\n{transcript}");
    }
    Ok(())
}

#[tokio::test]
async fn claude_code_writes_a_file_in_its_worktree_and_result_tokens_and_diff_are_shown() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (model, hive) = (Model::start().await?, hive(home.path()).await?);
    let repo = repository(home.path())?;
    let env = format!(
        "ANTHROPIC_BASE_URL={}\nANTHROPIC_API_KEY=dummy-key-of-the-test\nCLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1\n",
        model.url
    );
    std::fs::write(home.path().join("claude.env"), env)?;
    let mut seen = Transcript { hive: &hive, folder: home.path(), text: String::new() };
    seen.run(&[
        "agent",
        "add",
        "coder",
        "--preset",
        "claude-code",
        "--repository",
        "greeting",
        "--env-file",
        "claude.env",
    ])?;
    seen.run(&[
        "task",
        "submit",
        "Explain the repository",
        "--input",
        "\"Write NOTES.md: what is this repository for?\"",
    ])?;
    let tasks = hive.get("/api/v2/tasks").await?;
    let id = tasks["items"][0]["id"].as_str().context("an id")?.to_owned();
    let task = hive.task_ended(&id).await?;
    assert_eq!(task["state"], "completed", "{task:#}\n{}", hive.output(&id).await?);
    assert_eq!(task["result"]["text"], "NOTES.md now says what this repository is for.", "{task:#}");
    assert!(task["result"]["session_id"].is_string(), "{task:#}");
    assert_eq!(
        (&task["usage"]["input_tokens"], &task["usage"]["output_tokens"]),
        (&json!(1452), &json!(88)),
        "{task:#}"
    );
    assert!(task["usage"]["cost_usd"].is_f64() && task["usage"]["peak_rss_bytes"].is_u64(), "{task:#}");
    let workspace = &hive.attempts(&id).await?[0]["workspace"];
    assert_eq!(workspace["files_changed"], 1, "{workspace:#}");
    assert!(
        workspace["diff"].as_str().context("a diff")?.contains("+This repository greets the world."),
        "{workspace:#}"
    );
    let written = Path::new(workspace["path"].as_str().context("a path")?).join("NOTES.md");
    assert!(written.exists() && !repo.join("NOTES.md").exists(), "in its worktree, and only there");
    assert!(hive.output(&id).await?.contains("\"type\":\"result\""));
    seen.run(&["task", "wait", &id])?;
    let shown = seen.run(&["task", "show", &id])?;
    for expected in [
        "NOTES.md now says",
        "1,452 tokens in",
        "88 tokens out",
        "+This repository greets the world.",
        &format!("hive/{id}-1"),
    ] {
        assert!(shown.contains(expected), "{expected} is not in:\n{shown}");
    }
    seen.run(&["workspace", "list"])?;
    documented(&seen.settled(&task)?)
}

#[tokio::test]
async fn claude_code_that_is_not_signed_in_fails_with_a_word_on_what_to_do() -> Result<()> {
    let home = tempfile::tempdir()?;
    let hive = hive(home.path()).await?;
    let link = json!({"preset": "claude-code", "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}});
    hive.command_agent("coder", 1, link).await?;
    let id = hive
        .submit(&json!({"title": "t", "requires": ["coder"], "input": "PING", "attempts_max": 1}))
        .await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!(
        (&task["state"], &task["error"]["kind"]),
        (&json!("failed"), &json!("not_signed_in")),
        "{task:#}"
    );
    assert!(task["error"]["message"].as_str().context("words")?.contains("ANTHROPIC_API_KEY"), "{task:#}");
    Ok(())
}

#[tokio::test]
async fn codex_answers_and_its_session_and_tokens_are_stored() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (model, hive) = (Model::start().await?, hive(home.path()).await?);
    let codex = home.path().join("codex");
    std::fs::create_dir(&codex)?;
    let config = format!(
        "model = \"gpt-5\"\nmodel_provider = \"local\"\n[model_providers.local]\nname = \"local\"\nbase_url = \"{}/v1\"\n\
         wire_api = \"responses\"\nenv_key = \"OPENAI_API_KEY\"\n",
        model.url
    );
    std::fs::write(codex.join("config.toml"), config)?;
    let link =
        json!({"preset": "codex", "env": {"OPENAI_API_KEY": "dummy-key-of-the-test", "CODEX_HOME": codex}});
    hive.command_agent("coder", 1, link).await?;
    let id = hive
        .submit(&json!({"title": "t", "requires": ["coder"], "input": "PING", "attempts_max": 1}))
        .await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!(task["state"], "completed", "{task:#}\n{}", hive.output(&id).await?);
    assert_eq!(task["result"]["text"], "PONG", "{task:#}");
    assert!(task["result"]["session_id"].is_string() && task["usage"]["input_tokens"].is_u64(), "{task:#}");
    Ok(())
}

#[tokio::test]
async fn a_canceled_coding_agent_leaves_no_process_behind() -> Result<()> {
    let home = tempfile::tempdir()?;
    let hive = hive(home.path()).await?;
    // An endpoint that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mark = Mark::new();
    let mut env: Value = mark.env();
    env["ANTHROPIC_BASE_URL"] = json!(format!("http://{}", silent.local_addr()?));
    env["ANTHROPIC_API_KEY"] = json!("dummy-key-of-the-test");
    hive.command_agent("coder", 1, json!({"preset": "claude-code", "env": env})).await?;
    let id = hive.submit(&json!({"title": "t", "requires": ["coder"], "input": "PING"})).await?;
    let (_connection, _) = tokio::task::spawn_blocking(move || silent.accept()).await??;
    mark.until(SOON, |count| count > 0).await?;
    hive.post(&format!("/api/v2/tasks/{id}/cancel"), &json!({}), 200).await?;
    assert_eq!(hive.task_ended(&id).await?["state"], "canceled");
    mark.until(SOON, |count| count == 0).await
}
