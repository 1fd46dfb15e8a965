//! Starts the command through the second stage, with the record written in between.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::record::{self, Record};
use super::tree::Identity;
use super::words::{Line, Spec, Stage};

/// How long the second stage may take to become the command: a folder or a program on a disk that does not answer.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The command, running.
pub(super) struct Launched {
    pub(super) main: Identity,
    /// Readable when it has ended.
    pub(super) exit: OwnedFd,
}

/// Starts the command of a spec. A failure is a sentence for people; the second stage may still be there then.
pub(super) fn launch(spec: &Spec, guard: Option<Identity>) -> Result<Launched, String> {
    let (ours, theirs) = UnixStream::pair().map_err(says("no socket"))?;
    // The file may have been replaced since the start; this name still means the program that runs.
    let child = Command::new("/proc/self/exe")
        .arg0("hive")
        .args([super::WORD, super::SECOND_STAGE])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(says("no process"))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process without a number")?;
    let exit = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from).map_err(says("no process"))?;
    let main = Identity::of(pid).ok_or("the second stage ended before it began")?;
    // It waits for its order, so the record is complete before the command runs.
    let boot_id = record::boot_id();
    let record = Record { guard: guard.unwrap_or(main), command: main, boot_id, mark: spec.mark.clone() };
    record.write(&spec.record).map_err(says("no record of it could be written"))?;

    let deadline = Instant::now() + LAUNCH_TIMEOUT;
    let mut line = Line::new(ours);
    line.say(&spec.order).map_err(says("the second stage takes no order"))?;
    match hear(&mut line, deadline).map_err(says("the second stage says nothing"))? {
        Some(Stage::Ready) => {}
        Some(Stage::Failed { message }) => return Err(message),
        None => return Err("the second stage ended before it was ready".to_owned()),
    }
    // The socket closes when the command takes over; before that only a failure is told.
    match hear(&mut line, deadline) {
        Ok(None) => Ok(Launched { main, exit }),
        Ok(Some(Stage::Failed { message })) => Err(message),
        Ok(Some(Stage::Ready)) => Err("the second stage does not begin".to_owned()),
        Err(error) => {
            main.signal(Signal::KILL);
            Err(says("it does not begin")(error))
        }
    }
}

/// Waits for a word until the deadline, which is an error.
fn hear(line: &mut Line, deadline: Instant) -> io::Result<Option<Stage>> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    line.socket().set_read_timeout(Some(left))?;
    line.hear()
}

fn says(what: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_of_the_second_stage_share_one_deadline() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut line, stage) = (Line::new(ours), Line::new(theirs));
        let deadline = Instant::now() + Duration::from_millis(200);
        stage.say(&Stage::Ready).unwrap();
        assert!(matches!(hear(&mut line, deadline), Ok(Some(Stage::Ready))));
        assert!(hear(&mut line, deadline).is_err());
        assert!(Instant::now() >= deadline);
        stage.say(&Stage::Ready).unwrap();
        assert!(hear(&mut line, deadline).is_err(), "the time is over");
    }
}
