//! The server that is measured: the real program in a throw-away folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::database;

/// Clock ticks per second in `/proc/PID/stat`, which Linux fixes for programs.
const TICKS_PER_SECOND: u64 = 100;

/// A running server; ended and its folder removed when dropped.
pub struct Server {
    child: Child,
    /// The process of its database server.
    postmaster: Option<u32>,
    folder: tempfile::TempDir,
    /// Where it answers.
    pub url: String,
    /// The admin token.
    pub token: String,
    /// For requests.
    pub client: reqwest::Client,
}

impl Server {
    /// Starts one and waits until it is ready.
    pub async fn start(database: Option<&database::Server>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let url = database.map(database::Server::schema).transpose()?;
        let child = Command::new(program()?)
            .envs(url.map(|url| ("HIVE__DATABASE__URL", url)))
            .args(["serve", "--bind", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let postmaster = database.map(database::Server::postmaster).transpose()?;
        let client = reqwest::Client::builder().pool_max_idle_per_host(4_096).build()?;
        let mut server = Self { child, postmaster, folder, url: String::new(), token: String::new(), client };
        let began = Instant::now();
        while !server.is_ready(&data).await {
            if began.elapsed() > Duration::from_secs(30) {
                bail!("the server did not get ready");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn is_ready(&mut self, data: &Path) -> bool {
        let Ok(text) = std::fs::read_to_string(data.join("server.json")) else { return false };
        let Ok(announced) = serde_json::from_str::<Value>(&text) else { return false };
        let Ok(token) = std::fs::read_to_string(data.join("admin.token")) else { return false };
        self.url = announced["url"].as_str().unwrap_or_default().to_owned();
        self.token = token.trim().to_owned();
        let ready = self.client.get(format!("{}/health/ready", self.url)).send().await;
        ready.is_ok_and(|answer| answer.status().is_success())
    }

    /// POSTs JSON; the status and the body.
    pub async fn post(&self, path: &str, body: String) -> Result<(u16, Value)> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/json").body(body).send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?)?))
    }

    /// Tasks in a state, as the server itself counts them, once that stands still.
    pub async fn count(&self, state: &str) -> Result<u64> {
        let request = self.client.get(format!("{}/api/v2/system", self.url)).bearer_auth(&self.token);
        let system: Value = request.send().await?.json().await?;
        system["tasks"][state].as_u64().context("a count")
    }

    /// Processor time of the server so far.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(&format!("/proc/{}/stat", self.child.id()))
    }

    /// Processor time of the processes of its database server that there are.
    pub fn database_cpu(&self) -> Result<Duration> {
        let Some(postmaster) = self.postmaster else { return Ok(Duration::ZERO) };
        let mut all = Duration::ZERO;
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path().join("stat");
            // Most entries are no processes, and some have ended meanwhile.
            let Ok(stat) = std::fs::read_to_string(&path) else { continue };
            let parent =
                stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
            if parent == Some(postmaster) {
                all += cpu_of(&path.to_string_lossy()).unwrap_or_default();
            }
        }
        Ok(all)
    }

    /// What the hive measured of itself, in the words of Prometheus.
    pub async fn metrics(&self) -> Result<String> {
        let request = self.client.get(format!("{}/metrics", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    /// Resident memory of the server, in MiB.
    pub fn rss_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib / 1_024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of this process so far.
pub fn own_cpu() -> Result<Duration> {
    cpu_of("/proc/self/stat")
}

fn cpu_of(path: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(path)?;
    let after_name = stat.rsplit_once(") ").context("a process name")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).context("ticks");
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_SECOND))
}

/// The program that is measured, beside this one.
pub fn program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("hive");
    if !path.exists() {
        bail!("{} is missing: run `cargo build --release` first", path.display());
    }
    Ok(path)
}
