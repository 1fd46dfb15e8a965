//! Rig of the integration suite: starts the real program on a free port, with a data folder of its own, and speaks to it
//! as any client would.

pub mod database;
pub mod ledger;
pub mod platter;
pub mod processes;
pub mod shim;
pub mod sockets;
pub mod terminal;
pub mod watcher;
pub mod worker;
pub mod worker_socket;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// Longest that anything here is waited for before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program, as `cargo build --release` leaves it beside the tests.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test knows its own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.push("hive");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --release` first (tests/run does)",
        path.display()
    );
    path
}

/// A running `hive serve`.
pub struct Hive {
    child: Child,
    /// The process that serves; another one than `child` when something wraps it.
    pid: u32,
    folder: PathBuf,
    /// Removed at the end, unless the test brought its own.
    _own: Option<tempfile::TempDir>,
    /// Where it answers, like `http://127.0.0.1:41234`.
    pub url: String,
    /// The admin token.
    pub token: String,
    client: reqwest::Client,
}

/// How a hive is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The data folder; a fresh one when `None`.
    pub folder: Option<PathBuf>,
    /// Settings as environment variables, like `("HIVE__LEASE__TTL_MS", "2000")`.
    pub settings: Vec<(&'static str, String)>,
    /// The address it binds; a free port when `None`.
    pub bind: Option<String>,
    /// A program that starts it, with its arguments, like `strace -f`.
    pub wrapper: Vec<String>,
}

impl Options {
    /// With one more setting.
    #[must_use]
    pub fn set(mut self, key: &'static str, value: impl ToString) -> Self {
        self.settings.push((key, value.to_string()));
        self
    }

    /// On this address.
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = Some(address.into());
        self
    }

    /// In this folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }
}

impl Hive {
    /// Starts one with default settings and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready; with what it printed.
    pub async fn start_with(options: Options) -> Result<Self> {
        let (folder, own) = match options.folder {
            Some(folder) => (folder, None),
            None => {
                let own = tempfile::tempdir()?;
                (own.path().join("data"), Some(own))
            }
        };
        let mut words = options.wrapper.clone();
        words.push(program().display().to_string());
        let mut command = Command::new(words.first().context("a program")?);
        command.args(words.get(1..).unwrap_or_default());
        let bind = options.bind.as_deref().unwrap_or("127.0.0.1:0");
        command.args(["serve", "--bind", bind, "--data-dir"]).arg(&folder);
        command.envs(options.settings.iter().map(|(key, value)| (*key, value.as_str())));
        std::fs::create_dir_all(folder.parent().context("a folder in a folder")?)?;
        if options.settings.iter().all(|(key, _)| *key != "HIVE__DATABASE__URL")
            && let Some(url) = database::of_folder(&folder)?
        {
            command.env("HIVE__DATABASE__URL", url);
        }
        let _ = std::fs::remove_file(folder.join("server.json"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log_path(&folder))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting hive")?;
        let began = Instant::now();
        let (url, pid) = loop {
            if let Some(announced) = announced(&folder) {
                break announced;
            }
            if let Some(status) = child.try_wait()? {
                bail!("hive ended with {status}:\n{}", read_log(&folder));
            }
            if began.elapsed() > PATIENCE {
                let _ = child.kill();
                bail!("hive did not announce itself:\n{}", read_log(&folder));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let token = std::fs::read_to_string(folder.join("admin.token"))?.trim().to_owned();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut hive = Self { child, pid, folder, _own: own, url, token, client };
        hive.until_ready().await?;
        Ok(hive)
    }

    /// Its data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        read_log(&self.folder)
    }

    /// A request with the admin token; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// GETs JSON and expects 200.
    ///
    /// # Errors
    /// Any other answer, with its body.
    pub async fn get(&self, path: &str) -> Result<Value> {
        expect(self.request(Method::GET, path).send().await?, StatusCode::OK).await
    }

    /// POSTs JSON and expects `status`.
    ///
    /// # Errors
    /// Any other answer, with its body.
    pub async fn post(&self, path: &str, body: &Value, status: u16) -> Result<Value> {
        let status = StatusCode::from_u16(status)?;
        expect(self.request(Method::POST, path).json(body).send().await?, status).await
    }

    /// Submits a task and answers its id.
    ///
    /// # Errors
    /// Any answer but 201.
    pub async fn submit(&self, body: &Value) -> Result<String> {
        let task = self.post("/api/v2/tasks", body, 201).await?;
        Ok(task["id"].as_str().context("an id")?.to_owned())
    }

    /// Registers a worker agent and answers its id.
    ///
    /// # Errors
    /// Any answer but 201.
    pub async fn agent(&self, name: &str, capabilities: &[&str], capacity: u32) -> Result<String> {
        let body = serde_json::json!({
            "name": name, "role": "worker", "capabilities": capabilities, "capacity": capacity,
            "link": {"kind": "worker"},
        });
        let agent = self.post("/api/v2/agents", &body, 201).await?;
        Ok(agent["id"].as_str().context("an id")?.to_owned())
    }

    /// Leases assignments for an agent.
    ///
    /// # Errors
    /// Any answer but 200.
    pub async fn lease(&self, agent: &str, max: u32, wait_ms: u64) -> Result<Vec<Value>> {
        let body = serde_json::json!({"max": max, "wait_ms": wait_ms, "worker_instance": "test"});
        let answer = self.post(&format!("/api/v2/agents/{agent}/lease"), &body, 200).await?;
        Ok(answer["assignments"].as_array().context("assignments")?.clone())
    }

    /// Asks for a task until `holds`, and answers it.
    ///
    /// # Errors
    /// When it never does, with the task as it stands.
    pub async fn task_when(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until(&format!("/api/v2/tasks/{id}"), holds).await
    }

    /// GETs `path` until the answer `holds`, and answers it.
    ///
    /// # Errors
    /// When it never does, with the last answer.
    pub async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await?;
            if holds(&answer) {
                return Ok(answer);
            }
            if began.elapsed() > PATIENCE {
                bail!("{path} never came to be as expected; it is {answer:#}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = i32::try_from(self.pid)?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process id")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Stops it (SIGSTOP) and waits until each of its threads stands still: the signal returns earlier.
    ///
    /// # Errors
    /// When there is no such process, or a thread runs on.
    pub fn halt(&self) -> Result<()> {
        processes::halt(self.pid)
    }

    /// Asks it to end (SIGTERM) and waits for how it does.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(rustix::process::Signal::TERM)?;
        self.ended().await
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > PATIENCE {
                bail!("hive does not end:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.client.get(format!("{}/health/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("hive ended with {status}:\n{}", self.log());
            }
            if began.elapsed() > PATIENCE {
                bail!("hive did not get ready:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Hive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the CLI against a hive and answers (exit code, stdout, stderr).
///
/// # Errors
/// When it cannot be run.
pub fn cli(hive: &Hive, arguments: &[&str]) -> Result<(i32, String, String)> {
    let output = Command::new(program())
        .args(arguments)
        .env("HIVE_SERVER", &hive.url)
        .env("HIVE_TOKEN", &hive.token)
        .stdin(Stdio::null())
        .output()?;
    let code = output.status.code().ok_or_else(|| anyhow!("ended by a signal"))?;
    Ok((code, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

/// Expects a status and answers the JSON body.
///
/// # Errors
/// Any other status, with the body.
pub async fn expect(response: Response, status: StatusCode) -> Result<Value> {
    let (url, there) = (response.url().clone(), response.status());
    let text = response.text().await?;
    if there != status {
        bail!("{url} answered {there} instead of {status}: {text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{url} answered no JSON: {text}"))
}

/// An address on this machine that nobody listens on.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// Opens a folder's log: where the program's standard error goes.
fn log_path(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

fn read_log(folder: &Path) -> String {
    std::fs::read_to_string(log_path(folder)).unwrap_or_default()
}

fn announced(folder: &Path) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(folder.join("server.json")).ok()?;
    let announced: Value = serde_json::from_str(&text).ok()?;
    let pid = u32::try_from(announced["pid"].as_u64()?).ok()?;
    Some((announced["url"].as_str()?.to_owned(), pid))
}
