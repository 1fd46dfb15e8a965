//! Each cause of a `critical_alert`, provoked; and each is told to be over when it is.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hive::settings::{Flags, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use supervision::{Behaviour, ChildSpec, Context as ActorContext, Restart};
use tests::watcher::Watcher;
use tests::{Hive, Options, PATIENCE, database};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Waits for an alert of this level whose message begins so.
async fn alert(watcher: &mut Watcher, level: &str, cause: &str) -> Result<()> {
    alert_within(PATIENCE, watcher, level, cause).await
}

async fn alert_within(time: Duration, watcher: &mut Watcher, level: &str, cause: &str) -> Result<()> {
    let is_it = |frame: &Value| {
        if frame["type"] != "critical_alert" {
            return Ok(false);
        }
        let alerts = frame["data"]["alerts"].as_array().context("alerts")?;
        let found = alerts
            .iter()
            .find(|alert| alert["message"].as_str().is_some_and(|message| message.starts_with(cause)));
        Ok(found.is_some_and(|alert| alert["level"] == level))
    };
    watcher.frame_within(time, &format!("{level} {cause}"), is_it).await.map(|_| ())
}

/// Waits until an alert about the last minute is over.
async fn resolved(watcher: &mut Watcher, cause: &str) -> Result<()> {
    alert_within(Duration::from_secs(90), watcher, "resolved", cause).await
}

/// Holds the write lock of a database file until it is dropped.
struct Lock(Child);

impl Lock {
    fn hold(folder: &Path) -> Result<Self> {
        let script = "import sqlite3, sys\n\
            c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
            c.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(folder.join("hive.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its words")?).read_line(&mut line)?;
        ensure!(line == "held\n", "{line}");
        Ok(Self(child))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn slow_a_writer_that_commits_nothing_and_requests_that_fail_for_it_are_alerted() -> Result<()> {
    let hive = Hive::start().await?;
    let mut watcher = Watcher::connect(&hive, "system").await?;
    watcher.of_type("dashboard_initialized").await?;
    let lock = Lock::hold(hive.folder())?;
    let failing = async || -> Result<()> {
        loop {
            let request = hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": "t"}));
            request.send().await?;
        }
    };
    let watching = async {
        let mut missing = vec!["writer_stalled", "error_budget_burn"];
        while !missing.is_empty() {
            let frame = watcher.of_type("critical_alert").await?;
            let text = frame.to_string();
            missing.retain(|cause| !text.contains(cause));
        }
        anyhow::Ok(())
    };
    // Several at a time: one command is in the writer's hands, and others wait for it.
    tokio::select! {
        watched = watching => watched?,
        failed = failing() => failed?,
        failed = failing() => failed?,
    }
    let mut late = Watcher::connect(&hive, "system").await?;
    let told = late.of_type("critical_alert").await?;
    ensure!(told.to_string().contains("writer_stalled"), "who comes later is told, too: {told}");
    drop(lock);
    alert(&mut watcher, "resolved", "writer_stalled").await?;
    let mut told_again = 0;
    late.frame_where("resolved writer_stalled", |frame| {
        let alerts = frame["data"]["alerts"].as_array();
        let of_writer: Vec<&Value> = alerts
            .into_iter()
            .flatten()
            .filter(|alert| alert["message"].as_str().is_some_and(|text| text.starts_with("writer_stalled")))
            .collect();
        told_again += of_writer.iter().filter(|alert| alert["level"] == "critical").count();
        Ok(of_writer.iter().any(|alert| alert["level"] == "resolved"))
    })
    .await?;
    ensure!(told_again == 0, "what was raised when it came is not raised again");
    resolved(&mut watcher, "error_budget_burn").await
}

/// A way to a PostgreSQL server that can be cut.
struct Way {
    _folder: tempfile::TempDir,
    url: String,
    here: PathBuf,
    there: PathBuf,
    passing: Option<JoinSet<()>>,
}

impl Way {
    fn to(url: &str) -> Result<Self> {
        let (login, rest) = url.split_once('@').context("a login")?;
        let (host, database) = rest.split_once('/').context("a host")?;
        let folder = tempfile::tempdir()?;
        let own = folder.path().display().to_string().replace('/', "%2F");
        let mut way = Self {
            url: format!("{login}@{own}/{database}"),
            here: folder.path().join(".s.PGSQL.5432"),
            there: PathBuf::from(host.replace("%2F", "/")).join(".s.PGSQL.5432"),
            _folder: folder,
            passing: None,
        };
        way.open()?;
        Ok(way)
    }

    fn open(&mut self) -> Result<()> {
        let (listener, there) = (UnixListener::bind(&self.here)?, self.there.clone());
        let mut passing = JoinSet::new();
        passing.spawn(async move {
            let mut pairs = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let there = there.clone();
                pairs.spawn(async move {
                    if let Ok(mut far) = UnixStream::connect(there).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        self.passing = Some(passing);
        Ok(())
    }

    fn cut(&mut self) -> Result<()> {
        self.passing = None;
        Ok(std::fs::remove_file(&self.here)?)
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_alerted() -> Result<()> {
    let mut way = Way::to(&database::schema("lost")?)?;
    let hive = Hive::start_with(Options::default().set("HIVE__DATABASE__URL", &way.url)).await?;
    let mut watcher = Watcher::connect(&hive, "system").await?;
    watcher.of_type("dashboard_initialized").await?;
    way.cut()?;
    alert(&mut watcher, "critical", "database_lost").await?;
    way.open()?;
    alert(&mut watcher, "resolved", "database_lost").await
}

#[tokio::test]
async fn slow_a_burst_of_dead_letters_is_alerted_and_over_when_a_minute_had_none() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("one", &[], 10).await?;
    let mut watcher = Watcher::connect(&hive, "system").await?;
    watcher.of_type("dashboard_initialized").await?;
    for _ in 0..10 {
        hive.submit(&json!({"title": "t", "attempts_max": 1})).await?;
    }
    let (mut dead, began) = (0, Instant::now());
    while dead < 10 {
        ensure!(began.elapsed() < tests::PATIENCE, "{dead} of 10 tasks are dead letters");
        for assignment in hive.lease(&agent, 10, 5_000).await? {
            let task = assignment["task_id"].as_str().context("an id")?;
            let error = json!({"kind": "broken", "message": "m"});
            let report = json!({"attempt": assignment["attempt"], "retryable": false, "error": error});
            hive.post(&format!("/api/v2/tasks/{task}/fail"), &report, 200).await?;
            dead += 1;
        }
    }
    alert(&mut watcher, "critical", "dead_letter_burst").await?;
    resolved(&mut watcher, "dead_letter_burst").await
}

/// Blocks its arbiter as soon as it begins.
struct Blocker;

impl Behaviour for Blocker {
    const KIND: &'static str = "blocker";
    const MAILBOX_CAPACITY: usize = 1;

    fn started(&mut self, cx: &mut ActorContext<Self>) {
        std::thread::sleep(Duration::from_secs(5));
        cx.stop();
    }
}

#[actix_rt::test]
async fn an_arbiter_that_does_not_answer_is_alerted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flags = Flags {
        config: None,
        database_url: None,
        data_dir: Some(folder.path().join("data")),
        bind: Some("127.0.0.1:0".to_owned()),
    };
    let running = hive::serve::start(Settings::load(&flags, std::iter::empty())?)
        .await
        .map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let mut watcher = Watcher::connect_to(&running.url, "system", running.admin_token.reveal()).await?;
    watcher.of_type("dashboard_initialized").await?;
    running.sessions.start_child(ChildSpec::new("blocker", || Blocker).restart(Restart::Temporary))?;
    alert(&mut watcher, "critical", "arbiter_stalled").await?;
    alert(&mut watcher, "resolved", "arbiter_stalled").await?;
    let began = Instant::now();
    running.shutdown().await;
    ensure!(began.elapsed() < tests::PATIENCE, "and it ends in order");
    Ok(())
}
