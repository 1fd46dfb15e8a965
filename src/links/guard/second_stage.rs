//! Sets what must hold for the command and not for its guard, then becomes the command.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::ProcessLimits;
use rustix::fs::{MemfdFlags, Mode, memfd_create};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, nice, set_parent_process_death_signal, setrlimit, setsid,
    umask,
};

use super::Error;
use super::words::{Line, Order, Stage};

/// How much the command steps back behind the hive when both want the processor.
const NICENESS: i32 = 5;
/// How much sooner than others the command is killed when the machine has no memory left (0 to 1000).
const OOM_SCORE: &str = "500";
/// How far beyond its limit of processor time a single process gets when nobody counts, in seconds.
const CPU_SLACK_S: u64 = 2;

pub(super) fn run(socket: UnixStream) -> Result<(), Error> {
    let mut line = Line::new(socket);
    let guard = getppid();
    // The guard's end is this one's end, from here on; it may have come a moment before.
    let tied = set_parent_process_death_signal(Some(Signal::KILL));
    let Some(order) = line.hear::<Order>().map_err(Error::NoOrder)? else { return Ok(()) };
    if tied.is_err() || getppid() != guard {
        return Ok(());
    }
    let message = become_command(&order, &line);
    // a guard that has gone needs no word
    let _ = line.say(&Stage::Failed { message });
    Ok(())
}

/// Comes back only when it fails, with a sentence for people.
fn become_command(order: &Order, line: &Line) -> String {
    let (name, arguments) = order.words.split_first().map_or(("", &[][..]), |(name, rest)| (name, rest));
    let prepared = prepare(order);
    let input = match prepared {
        Ok(input) => input,
        Err(message) => return message,
    };
    if let Err(error) = line.say(&Stage::Ready) {
        return format!("the guard has gone: {error}");
    }
    let mut command = Command::new(&order.program);
    command.arg0(name).args(arguments).env_clear().envs(&order.env).stdin(input);
    refused(&order.program, &command.exec())
}

fn prepare(order: &Order) -> Result<Stdio, String> {
    // A session of its own: no terminal of the hive to wait for, and no Ctrl-C from it.
    setsid().map_err(|error| format!("no session of its own: {error}"))?;
    // Both are wishes: some systems do not grant them.
    let _ = nice(NICENESS);
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    if let Some(bits) = order.umask {
        umask(Mode::from_bits_truncate(bits));
    }
    std::env::set_current_dir(&order.folder)
        .map_err(|error| format!("the folder {} cannot be entered: {error}", order.folder.display()))?;
    // before the limits, which hold for this file, too
    let input = match &order.input {
        Some(text) => Stdio::from(in_memory(text).map_err(|error| format!("no standard input: {error}"))?),
        None => Stdio::null(),
    };
    limit(order.limits).map_err(|error| format!("its limits cannot be set: {error}"))?;
    Ok(input)
}

/// A text as a file that has no name and takes no part in any disk's fullness.
fn in_memory(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("prompt", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// The kernel's own limits: those of one process, where the guard watches over all together.
///
/// Address space is not limited: runtimes like V8 reserve far more than they use.
fn limit(limits: ProcessLimits) -> io::Result<()> {
    at_most(Resource::Core, 0)?;
    if let Some(count) = limits.open_files {
        at_most(Resource::Nofile, count)?;
    }
    if let Some(bytes) = limits.file_bytes {
        at_most(Resource::Fsize, bytes)?;
    }
    if let Some(cpu_ms) = limits.cpu_ms {
        at_most(Resource::Cpu, cpu_ms.div_ceil(1_000) + CPU_SLACK_S)?;
    }
    Ok(())
}

/// Lowers a limit; one that is lower already stays.
fn at_most(resource: Resource, value: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) })?)
}

fn refused(program: &Path, error: &io::Error) -> String {
    let shown = program.display();
    match error.kind() {
        io::ErrorKind::NotFound if program.exists() => {
            format!("{shown} cannot be started: the interpreter that its first line names is missing")
        }
        io::ErrorKind::ArgumentListTooLong => {
            format!("{shown} cannot be started: its arguments and environment are too long")
        }
        _ => format!("{shown} cannot be started: {error}"),
    }
}
