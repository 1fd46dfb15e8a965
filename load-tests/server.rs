//! The server that is measured: the real program in a throw-away folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::slow_disk::SlowDisk;
use crate::wire::Place;
use crate::{database, process};

/// What a hive stands on. Cheap to clone.
#[derive(Clone, Default)]
pub struct Ground {
    /// A PostgreSQL server; without one, SQLite.
    pub database: Option<Rc<database::Server>>,
    /// A disk that is slower than that of this machine.
    pub disk: Option<Rc<SlowDisk>>,
}

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
    /// For requests whose cost does not matter.
    pub client: reqwest::Client,
    ready_after: Duration,
}

impl Server {
    /// Starts one and waits until it is ready.
    pub async fn start(ground: &Ground) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let database = ground.database.as_deref();
        let url = database.map(database::Server::schema).transpose()?;
        let began = Instant::now();
        let child = Command::new(program()?)
            .envs(url.map(|url| ("HIVE__DATABASE__URL", url)))
            .envs(ground.disk.iter().flat_map(|disk| disk.environment()))
            .args(["serve", "--bind", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let postmaster = database.map(database::Server::postmaster).transpose()?;
        let client = reqwest::Client::builder().pool_max_idle_per_host(4_096).build()?;
        let (url, token) = (String::new(), String::new());
        let mut server = Self { child, postmaster, folder, url, token, client, ready_after: Duration::ZERO };
        while !server.is_ready(&data).await {
            if began.elapsed() > Duration::from_secs(30) {
                bail!("the server did not get ready");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.ready_after = began.elapsed();
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

    /// Where its requests go.
    pub fn place(&self) -> Place {
        let address = self.url.strip_prefix("http://").unwrap_or(&self.url).to_owned();
        Place { address, token: self.token.clone() }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// How long it took from its start until it was ready, looked at every 2 ms.
    pub const fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Registers a worker agent; answers its id.
    pub async fn agent(&self, name: &str, capacity: usize, capabilities: &[&str]) -> Result<String> {
        let body = serde_json::json!({"name": name, "capacity": capacity, "capabilities": capabilities, "link": {"kind": "worker"}});
        let (status, agent) = self.post("/api/v2/agents", body.to_string()).await?;
        ensure!(status == 201, "the agent was not registered: {agent}");
        Ok(agent["id"].as_str().context("an id")?.to_owned())
    }

    /// Processor time of the server so far.
    pub fn cpu(&self) -> Result<Duration> {
        process::cpu(self.child.id())
    }

    /// Processor time of the processes of its database server that there are.
    pub fn database_cpu(&self) -> Result<Duration> {
        self.postmaster.map_or(Ok(Duration::ZERO), process::cpu_of_children)
    }

    /// What the hive measured of itself, in the words of Prometheus.
    pub async fn metrics(&self) -> Result<String> {
        let request = self.client.get(format!("{}/metrics", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    /// Resident memory of the server, in MiB.
    pub fn rss_mib(&self) -> Result<f64> {
        process::rss_mib(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that is measured, beside this one.
pub fn program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("hive");
    if !path.exists() {
        bail!("{} is missing: run `cargo build --release` first", path.display());
    }
    Ok(path)
}
