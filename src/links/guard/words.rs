//! What hive, guard and second stage tell each other: each word one line of JSON.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use domain::ProcessLimits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The word of the hive that asks the guard to end the command: SIGTERM, then SIGKILL after the grace.
pub(crate) const END: &[u8] = b"end\n";

/// Hive to guard, first of all: one attempt. Holds secrets, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Spec {
    /// What is to run.
    pub(crate) order: Order,
    /// How long it may run.
    pub(crate) timeout_ms: Option<u64>,
    /// From SIGTERM to SIGKILL.
    pub(crate) kill_grace_ms: u64,
    /// Where the attempt is on record while it runs.
    pub(crate) record: PathBuf,
    /// The value of `HIVE_PROCESS` in the command's environment: no other attempt has it.
    pub(crate) mark: String,
}

/// Guard to second stage: the command. Holds secrets, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program's file: absolute, or below the folder.
    pub(crate) program: PathBuf,
    /// What it is called, then its arguments.
    pub(crate) words: Vec<String>,
    /// Its whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// The folder it starts in.
    pub(crate) folder: PathBuf,
    /// What stands on its standard input; nothing when `None`.
    pub(crate) input: Option<String>,
    /// What it may use.
    pub(crate) limits: ProcessLimits,
    /// The bits that its files are made without; the guard's own when `None`.
    pub(crate) umask: Option<u32>,
}

/// Second stage to guard. The socket closes when the command has taken its place.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// It is about to become the command.
    Ready,
    /// It cannot become the command.
    Failed {
        /// Why, for people.
        message: String,
    },
}

/// Guard to hive.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// The command runs.
    Started {
        /// Its process id, which is also its process group and its session.
        pid: i32,
    },
    /// Nothing of the attempt runs any more.
    Ended(Ended),
}

/// How it ended and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// Processor time of all its processes.
    pub(crate) cpu_ms: u64,
    /// Highest resident memory of all its processes together.
    pub(crate) peak_rss_bytes: u64,
    /// Processes that could not be killed.
    pub(crate) left_count: usize,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// By itself.
    Exited { code: i32 },
    /// By a signal that is not the guard's.
    Signaled { signal: i32 },
    /// It took too long.
    TimedOut,
    /// The hive asked.
    Asked,
    /// It used more processor time than it may.
    CpuLimit,
    /// It used more memory than it may.
    MemoryLimit,
    /// The hive has gone.
    HiveGone,
    /// It never ran.
    FailedToStart { message: String },
}

/// A socket on which lines are said and heard, one after the other.
pub(crate) struct Line {
    socket: BufReader<UnixStream>,
}

impl Line {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket: BufReader::new(socket) }
    }

    pub(crate) fn socket(&self) -> &UnixStream {
        self.socket.get_ref()
    }

    /// Waits for a line; `None` when the other side has gone.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        if self.socket.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// Takes what is there, after the socket was seen to be readable: whether the other side asks for the end; `None` when it has gone.
    pub(crate) fn hear_end(&mut self) -> Option<bool> {
        // a socket that fails has no other side either
        let heard = self.socket.fill_buf().unwrap_or_default();
        let (count, is_end) = (heard.len(), heard.contains(&b'\n'));
        self.socket.consume(count);
        (count > 0).then_some(is_end)
    }

    /// Whether something was heard that nobody has taken yet.
    pub(crate) fn has_heard(&self) -> bool {
        !self.socket.buffer().is_empty()
    }

    pub(crate) fn say(&self, word: &impl Serialize) -> io::Result<()> {
        self.socket().write_all(&spoken(word)?)
    }
}

/// A word as it goes over the socket.
pub(crate) fn spoken(word: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    Ok(line)
}
