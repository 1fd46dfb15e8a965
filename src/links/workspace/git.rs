//! Runs git: in an environment of our own, without the repository's code, and never longer than it may.
//!
//! Invariant: what the hive's own environment says about git (`GIT_DIR`, `GIT_INDEX_FILE`, ...) reaches no git here.
//!
//! Invariant: hooks, file system monitors, external diffs and pagers of a repository never run. Filters (as of git LFS)
//! do, because files are wrong without them; a repository's content alone cannot define one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::turns::Turns;
use crate::umask;

/// How long a question to git may take.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a checkout may take: large repositories on slow disks, and files that git LFS has to fetch.
pub(super) const CHECKOUT_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Most of an answer that is read as a whole, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most of git's complaints that is told, in bytes and in lines.
const SAID_BYTES_MAX: usize = 2 * 1024;
const SAID_LINES_MAX: usize = 4;
/// What a shell ends with that does not find a program.
const NO_PROGRAM: i32 = 127;

/// What git gets of the hive's environment: where programs, settings, proxies and keys are.
const INHERITED: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "SSH_AUTH_SOCK",
    "LD_LIBRARY_PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
];

/// Settings that hold for every call, whatever the user or the repository set.
const SETTINGS: [&str; 13] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.splitIndex=false",
    "core.safecrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
    // Git of users and agents takes the same locks for moments.
    "core.filesRefLockTimeout=5000",
    "core.packedRefsTimeout=5000",
    "reftable.lockTimeout=5000",
    // Larger files are not compared line by line, and so not read into memory.
    "core.bigFileThreshold=16m",
];

/// Most gits at a time, however many attempts begin and end: each takes four open files and its share of the disk.
const AT_ONCE_MAX: usize = 32;

static TURNS: Turns = Turns::new(AT_ONCE_MAX);

/// Why git gave no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not installed.
    Missing,
    /// It was ended after its time.
    TimedOut { limit_s: u64 },
    /// It ended with an error: its code, and its last lines.
    Refused { code: Option<i32>, said: String },
    /// It could not be started or read.
    System(io::Error),
}

/// A place that git works at.
#[derive(Debug, Clone)]
pub(super) struct Git {
    place: PathBuf,
    git_dir: Option<PathBuf>,
    index: Option<PathBuf>,
    time_max: Duration,
}

impl Git {
    /// At a folder; git finds the repository itself.
    pub(super) fn at(place: &Path) -> Self {
        Self { place: place.to_path_buf(), git_dir: None, index: None, time_max: QUESTION_TIME_MAX }
    }

    /// At a worktree whose git folder is known: a `.git` file that somebody changed there is not believed, so that its
    /// settings cannot make git run something.
    pub(super) fn within(work_tree: &Path, git_dir: &Path) -> Self {
        Self { git_dir: Some(git_dir.to_path_buf()), ..Self::at(work_tree) }
    }

    /// With an index of its own in place of the repository's.
    pub(super) fn with_index(self, index: &Path) -> Self {
        Self { index: Some(index.to_path_buf()), ..self }
    }

    /// With another time limit for each call.
    pub(super) fn taking_at_most(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// Asks for a short answer: what git prints, without the last line break. Bytes that are no UTF-8 are replaced.
    pub(super) fn ask<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<String, Fault> {
        let mut answer = Vec::new();
        self.stream(words, None, &mut |bytes| {
            answer.extend_from_slice(bytes);
            if answer.len() > ANSWER_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(answer.strip_suffix('\n').unwrap_or(&answer).to_owned())
    }

    /// Hands what git prints to `sink`, piece by piece, until the sink breaks off; git is ended then, which is no error.
    pub(super) fn stream<S: AsRef<OsStr>>(
        &self,
        words: &[S],
        input: Option<File>,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let _turn = TURNS.take();
        let deadline = Instant::now() + self.time_max;
        let (stdout, stderr, mut child) = self.start(words, input)?;
        let (flow, said) = std::thread::scope(|scope| {
            let said = scope.spawn(|| last_words(&stderr, deadline));
            let flow = read(&stdout, deadline, sink);
            if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                end(&child);
            }
            (flow, said.join().unwrap_or_default())
        });
        let status = waited_for(&mut child, deadline).map_err(Fault::System)?;
        match flow {
            Ok(ControlFlow::Break(())) => Ok(()),
            Ok(ControlFlow::Continue(())) if status.success() => Ok(()),
            Ok(ControlFlow::Continue(())) if status.code() == Some(NO_PROGRAM) => Err(Fault::Missing),
            Ok(ControlFlow::Continue(())) if Instant::now() < deadline => {
                Err(Fault::Refused { code: status.code(), said })
            }
            Err(cause) if cause.kind() != ErrorKind::TimedOut => Err(Fault::System(cause)),
            Ok(ControlFlow::Continue(())) | Err(_) => {
                Err(Fault::TimedOut { limit_s: self.time_max.as_secs() })
            }
        }
    }

    /// Starts it with a socket for what it prints and one for what it complains of: unlike a pipe, they can be read with
    /// a time limit.
    fn start<S: AsRef<OsStr>>(
        &self,
        words: &[S],
        input: Option<File>,
    ) -> Result<(UnixStream, UnixStream, Child), Fault> {
        let (stdout, its_stdout) = UnixStream::pair().map_err(Fault::System)?;
        let (stderr, its_stderr) = UnixStream::pair().map_err(Fault::System)?;
        let child = self
            .command(words)
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(OwnedFd::from(its_stdout))
            .stderr(OwnedFd::from(its_stderr))
            .spawn();
        match child {
            Ok(child) => Ok((stdout, stderr, child)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Err(Fault::Missing),
            Err(cause) => Err(Fault::System(cause)),
        }
    }

    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = program();
        command.env_clear().envs(inherited());
        command.envs([("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0")]);
        if let Some(git_dir) = &self.git_dir {
            command.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", &self.place);
        }
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.arg("--no-pager").arg("-C").arg(&self.place);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        // A group of its own, so that what git starts ends with it, and no signal of a terminal reaches it.
        command.args(words).process_group(0).current_dir("/");
        command
    }
}

/// Git; with the umask of others' files by way of a shell, whose place it takes.
fn program() -> Command {
    let Some(umask) = umask::of_others() else { return Command::new("git") };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask \"$0\" && exec git \"$@\""]).arg(format!("{:04o}", umask.bits()));
    command
}

fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Ends git and what it started. It was not waited for, so its number is still its own.
fn end(child: &Child) {
    // One that has ended already needs no signal.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// Waits for its end until the deadline; then ends it. It may have closed its outputs long before.
fn waited_for(child: &mut Child, deadline: Instant) -> io::Result<ExitStatus> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut exit = [PollFd::new(&process, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut exit, Some(&left)) {
            Err(Errno::INTR) => {}
            Ok(0) => {
                end(child);
                return child.wait();
            }
            other => return other.map_err(io::Error::from).and_then(|_| child.wait()),
        }
    }
}

/// Reads until the end, the deadline (an error `TimedOut`) or the sink's word.
fn read(
    mut stream: &UnixStream,
    deadline: Instant,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut piece = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(ControlFlow::Continue(())),
            Ok(count) => {
                if sink(piece.get(..count).unwrap_or_default()).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// The last lines of a stream, in one line.
fn last_words(stream: &UnixStream, deadline: Instant) -> String {
    let mut kept = Vec::new();
    // What was read until the deadline, or until an error, is what can be told.
    let _ = read(stream, deadline, &mut |bytes| {
        kept.extend_from_slice(bytes);
        kept.drain(..kept.len().saturating_sub(SAID_BYTES_MAX));
        ControlFlow::Continue(())
    });
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let first = lines.len().saturating_sub(SAID_LINES_MAX);
    let said = lines.get(first..).unwrap_or_default().join("; ");
    if said.is_empty() { "nothing".to_owned() } else { said }
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
