//! Starts a guard and holds it by its control socket until it says that nothing of the attempt runs any more.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::attempt::Why;
use crate::guard;
use crate::guard::words::{END, Ended, Spec, Told, spoken};

/// How long a guard may take beyond what it was given before it counts as broken.
const GUARD_SLACK: Duration = Duration::from_secs(15);
/// How long a guard may take to take its order, and to start the command.
const START_TIMEOUT: Duration = Duration::from_secs(45);

/// A guard that was started and knows nothing yet.
pub(super) struct Guarded {
    child: Child,
    control: UnixStream,
}

/// What an attempt prints.
pub(super) struct Pipes<Out = ChildStdout, Err = ChildStderr> {
    pub(super) stdout: Out,
    pub(super) stderr: Err,
}

/// What came of an attempt under guard.
#[derive(Debug)]
pub(super) struct Held {
    /// What the guard said at the end; `None` when it went without a word.
    pub(super) ended: Option<Ended>,
    /// Whether the command ran.
    pub(super) is_started: bool,
    /// Why it was asked to end, if it was.
    pub(super) asked: Option<Why>,
}

/// Until when a guard is waited for.
#[derive(Debug)]
struct Patience {
    /// `None`: for as long as it takes.
    until: Option<Instant>,
    is_ending: bool,
}

/// Starts a guard.
pub(super) fn start(program: &Path) -> io::Result<(Guarded, Pipes)> {
    let (ours, theirs) = Pair::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(program);
    command
        .arg0("hive")
        .arg(guard::WORD)
        // neither guard nor command have any use for the hive's settings and token
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // out of reach of a Ctrl-C that is meant for the hive
        .process_group(0);
    let mut child = command.spawn()?;
    // with the command goes our copy of the guard's end, so that its death can be seen
    drop(command);
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("a process without pipes"));
    };
    let control = UnixStream::from_std(ours)?;
    Ok((Guarded { child, control }, Pipes { stdout, stderr }))
}

impl Guarded {
    /// Gives the guard its order and waits for its end. Passes on what the leash says: an end that is asked for, or, when it is
    /// dropped, the end at once.
    pub(super) async fn hold(self, spec: &Spec, leash: &mut mpsc::UnboundedReceiver<Why>) -> Held {
        let Self { mut child, control } = self;
        let (hear, say) = control.into_split();
        let mut say = Some(say);
        let mut lines = BufReader::new(hear).lines();
        let mut held = Held { ended: None, is_started: false, asked: None };
        let grace = Duration::from_millis(spec.kill_grace_ms) + GUARD_SLACK;
        let mut patience = Patience::new(Instant::now() + START_TIMEOUT);
        if !order(&mut say, spec).await {
            let _ = child.start_kill();
        }
        loop {
            tokio::select! {
                line = lines.next_line() => match line.ok().flatten().map(|line| serde_json::from_str(&line)) {
                    Some(Ok(Told::Started { .. })) => {
                        held.is_started = true;
                        let time = spec.timeout_ms.map(Duration::from_millis);
                        patience.begins(time.and_then(|time| Instant::now().checked_add(time + grace)));
                    }
                    Some(Ok(Told::Ended(ended))) => {
                        held.ended = Some(ended);
                        break;
                    }
                    Some(Err(_)) | None => break,
                },
                why = leash.recv(), if say.is_some() => {
                    match why {
                        Some(why) => {
                            held.asked.get_or_insert(why);
                            ask(&mut say).await;
                        }
                        // shuts the socket down in this direction; the other one goes on
                        None => say = None,
                    }
                    patience.ends_by(Instant::now() + grace);
                }
                () = at(patience.until) => {
                    let _ = child.start_kill();
                    patience.until = None;
                }
            }
        }
        if held.ended.is_none() || timeout(GUARD_SLACK, child.wait()).await.is_err() {
            // a guard that has gone is beyond it; one that stands still is not
            let _ = child.kill().await;
        }
        held
    }
}

impl Patience {
    /// For a guard that has to start its command.
    fn new(until: Instant) -> Self {
        Self { until: Some(until), is_ending: false }
    }

    /// The command runs; one that was asked to end before gets no more time for it.
    fn begins(&mut self, until: Option<Instant>) {
        if !self.is_ending {
            self.until = until;
        }
    }

    /// It was asked to end. Asking again, as every renewal of a lease does, gives it no more time.
    fn ends_by(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
        self.is_ending = true;
    }
}

async fn order(say: &mut Option<OwnedWriteHalf>, spec: &Spec) -> bool {
    let (Some(say), Ok(line)) = (say, spoken(spec)) else { return false };
    timeout(START_TIMEOUT, say.write_all(&line)).await.is_ok_and(|written| written.is_ok())
}

async fn ask(say: &mut Option<OwnedWriteHalf>) {
    if let Some(say) = say {
        // a few bytes fit into any socket; a guard that has gone needs none
        let _ = say.write_all(END).await;
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_is_asked_to_end_again_and_again_gets_no_more_time() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut patience = Patience::new(at(45));
        patience.begins(None);
        patience.ends_by(at(20));
        for renewal in 3..100 {
            patience.ends_by(at(renewal * 10));
        }
        assert_eq!(patience.until, Some(at(20)));
    }

    #[test]
    fn a_command_that_begins_after_its_end_was_asked_for_gets_no_time_of_its_own() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut patience = Patience::new(at(45));
        patience.ends_by(at(20));
        patience.begins(Some(at(3_600)));
        assert_eq!(patience.until, Some(at(20)));
        let mut patience = Patience::new(at(45));
        patience.begins(Some(at(3_600)));
        assert_eq!(patience.until, Some(at(3_600)), "nobody asked");
    }
}
