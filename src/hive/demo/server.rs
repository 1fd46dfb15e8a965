//! The hive of the demo: this very program, serving, as a child in the demo's folder.
//!
//! Invariant: it ends with this value, in order if there is time and killed otherwise, and is waited for.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use client::Client;
use rustix::process::{Pid, Signal, kill_process};

use super::traces;
use crate::connection::{Connection, Wishes};
use crate::exit::Exit;
use crate::failure::{Failure, with_causes};
use crate::server_file::ServerFile;

/// How long a start may take; it takes some tens of milliseconds where nothing is wrong.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an orderly end may take before it is killed: longer than its own drain, which is 10 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long guards and commands may outlive their hive before they count as left behind.
const TRACES_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after its last connection broke a server that dies may still be there.
const DYING_TIMEOUT: Duration = Duration::from_secs(2);
/// From one look to the next.
const BEAT: Duration = Duration::from_millis(10);
/// Lines of the log that are shown when it goes wrong.
const LOG_LINES: usize = 12;

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    home: PathBuf,
}

/// What an end left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many processes had to be killed because they did not end by themselves.
    pub killed: usize,
}

impl Server {
    /// Starts it. It knows nothing of other hives: no setting of the surroundings reaches it.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot be started at all.
    pub fn start(home: &Path) -> Result<Self, Failure> {
        let broken = |error: std::io::Error| Failure::surroundings(&error);
        let log = File::create(log_path(home)).map_err(broken)?;
        std::fs::create_dir_all(traces::temporary(home)).map_err(broken)?;
        // the program as it runs, also when its file has been replaced meanwhile
        let mut command = Command::new("/proc/self/exe");
        command.arg0("hive").args(["serve", "--bind", "127.0.0.1:0", "--data-dir"]).arg(folder(home));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HIVE") {
                command.env_remove(name);
            }
        }
        command
            .env("HIVE__LOG__FORMAT", "text")
            .env("TMPDIR", traces::temporary(home))
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(broken)?)
            .stderr(log)
            // a Ctrl-C is for the demo, which ends the server itself
            .process_group(0);
        let child = command.spawn().map_err(broken)?;
        Ok(Self { child, home: home.to_owned() })
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// A [`Failure`] with the end of its log when it does not.
    pub async fn ready(&mut self) -> Result<Client, Failure> {
        let began = Instant::now();
        loop {
            self.check()?;
            if ServerFile::read(&folder(&self.home)).is_some() {
                let wishes = Wishes { data_dir: Some(folder(&self.home)), ..Wishes::default() };
                let client = Connection::find(wishes)?.client()?;
                if client.ready().await.is_ok() {
                    return Ok(client);
                }
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(self.failure("the hive of the demo did not get ready"));
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// A [`Failure`] with the end of its log when it has ended.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failure(&format!("the hive of the demo has ended ({status})"))),
            Err(error) => Err(Failure::surroundings(&error)),
        }
    }

    /// Explains a failure by the server's end, where it has ended or is about to.
    pub async fn explain(&mut self, failure: Failure) -> Failure {
        let began = Instant::now();
        while failure.exit == Exit::Unreachable && began.elapsed() < DYING_TIMEOUT {
            if let Err(ended) = self.check() {
                return ended;
            }
            tokio::time::sleep(BEAT).await;
        }
        failure
    }

    fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(log_path(&self.home)).unwrap_or_else(|error| with_causes(&error));
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n  ");
        Failure::new(Exit::Internal, what).hint(format!("the end of its log:\n  {tail}"))
    }

    /// Ends it in order and waits until nothing of it runs any more; kills what does not end in time.
    pub async fn stop(mut self) -> Stopped {
        self.terminate();
        let ended = self.ended_within(STOP_TIMEOUT).await;
        let killed = usize::from(ended.is_none());
        self.kill();
        let began = Instant::now();
        while !traces::found(&self.home).is_empty() && began.elapsed() < TRACES_TIMEOUT {
            tokio::time::sleep(BEAT).await;
        }
        let left = traces::found(&self.home).len();
        traces::kill(&self.home);
        Stopped { killed: killed + left }
    }

    async fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < time {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            tokio::time::sleep(BEAT).await;
        }
        None
    }

    fn terminate(&mut self) {
        // the number of one that has ended may be somebody else's by now
        if let Ok(None) = self.child.try_wait()
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            // it is our child and was not waited for, so that it is there or has just ended
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    fn kill(&mut self) {
        // neither fails for one that has ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    /// After an orderly stop there is nothing left to do here.
    fn drop(&mut self) {
        self.kill();
        let began = Instant::now();
        while !traces::found(&self.home).is_empty() && began.elapsed() < TRACES_TIMEOUT {
            std::thread::sleep(BEAT);
        }
        traces::kill(&self.home);
    }
}

/// The data folder.
fn folder(home: &Path) -> PathBuf {
    home.join("hive-data")
}

/// Where its log goes.
pub fn log_path(home: &Path) -> PathBuf {
    home.join("server.log")
}
