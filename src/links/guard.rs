//! `hive exec-guard`: leads one process of an agent, counts what it uses, and ends all that it started.
//!
//! ```text
//!   hive --Spec, "end", EOF--> guard --Order--> second stage --exec--> the agent's command
//!        <-Started, Ended----        <-Ready, Failed, EOF---             | forks, daemons: adopted by the guard
//! ```
//!
//! The guard is the hive's own program, started a second time. Its standard input is the control socket; standard output
//! and error are the pipes that the command writes to and the hive reads. It has one thread and waits in one place
//! (`watch`), for a word of the hive, the command's end or the next count.
//!
//! The second stage is the same program again: what must hold for the command and not for the guard (limits, session,
//! niceness, death with its parent) is set by the process itself, and then it becomes the command.
//!
//! Invariant: the guard adopts whatever its descendants leave behind (it is their subreaper), and does not end before
//! there is none left, so nothing that an attempt started outlives it: sessions of their own and daemons included.
//!
//! Invariant: when the control socket closes, everything is killed at once, however the hive ended.
//!
//! Invariant: the record (`record`) is complete before the command runs, and goes when nothing runs: where something
//! cannot be killed, it stays for the next start.
//!
//! What can get away: whatever asks a service outside of the tree to run it (`systemd-run`, `at`, a container engine), and
//! what the hive's user may not signal (`sudo`).
//!
//! Reading order: `words`, `watch`, `launch`, `second_stage`; `tally`, `tree`, `record`.

mod launch;
pub(crate) mod record;
mod second_stage;
mod tally;
pub(crate) mod tree;
mod watch;
pub(crate) mod words;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use launch::launch;
use tree::Identity;
use watch::Watch;
use words::{Line, Spec};

/// The word on the command line that starts a guard.
pub const WORD: &str = "exec-guard";
/// The word behind it that starts the second stage.
pub const SECOND_STAGE: &str = "--second-stage";

/// Why a guard or its second stage could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not started by a hive.
    #[error("`exec-guard` is for the hive itself, which gives it a socket as its standard input")]
    NoSocket(#[source] io::Error),
    /// The hive said nothing that it understands.
    #[error("the hive sent no order")]
    NoOrder(#[source] io::Error),
    /// It cannot be what it has to be.
    #[error("the guard cannot adopt processes")]
    NoSubreaper(#[source] io::Error),
}

/// Runs as a guard: the control socket is the standard input. Comes back when nothing of the attempt runs any more.
///
/// # Errors
/// When no order came. Everything later is told to the hive over the socket.
pub fn main() -> Result<(), Error> {
    close_what_was_inherited();
    let mut control = Line::new(control_socket()?);
    let Some(spec) = control.hear::<Spec>().map_err(Error::NoOrder)? else {
        return Ok(()); // the hive has gone before it said anything
    };
    let myself = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(myself)).map_err(|error| Error::NoSubreaper(error.into()))?;
    let mut watch = Watch::new(control, &spec);
    let ended = match launch(&spec, Identity::of(myself)) {
        Ok(launched) => watch.until_ended(&launched),
        Err(message) => watch.failed(message),
    };
    if ended.left_count == 0 {
        record::remove(&spec.record);
    }
    watch.tell(ended);
    Ok(())
}

/// Runs as the second stage: becomes the command. Comes back only when it cannot.
///
/// # Errors
/// When no order came. What keeps the command from running is told to the guard.
pub fn second_stage() -> Result<(), Error> {
    second_stage::run(control_socket()?)
}

/// Closes what whoever started the hive left open for it: an agent has no business with it, and would hold it open.
fn close_what_was_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // nothing else was opened yet; the folder itself is closed already
        let _ = nix::unistd::close(fd);
    }
}

/// The standard input as a socket, on a descriptor that no other program inherits.
fn control_socket() -> Result<UnixStream, Error> {
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(Error::NoSocket)?;
    let socket = UnixStream::from(socket);
    // only a socket has a peer
    socket.peer_addr().map_err(Error::NoSocket)?;
    Ok(socket)
}
