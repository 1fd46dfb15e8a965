//! One run of the writer's loop: take all that waits, one transaction, answer each, tell of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::queue::{Envelope, Reply, Taken};
use super::{CommitNotice, Shared, Turn, WriteLoopError};
use crate::command::Command;
use crate::error::{OpenError, WriteError};
use crate::metrics::Metrics;
use crate::port::{BatchError, BatchWriter, Committed};

/// Most commands of one transaction: beyond that a batch gets no cheaper and its first sender only waits longer.
const BATCH_COMMANDS_MAX: usize = 2_000;
/// Most bytes of one transaction, so that a few large inputs do not hold up the small commands behind them.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How long a database that went away is left alone before it is opened again: at first, and after many tries.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest: so soon after its return a server is used again.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a run waits for a command before it looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Says that the database is open for as long as it lives, also through a panic.
struct Opened<'a>(&'a AtomicBool);

impl<'a> Opened<'a> {
    fn say(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Release);
        Self(flag)
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

pub(super) fn run(
    shared: &Shared,
    checkpoint: &dyn Fn(),
    is_stopping: &dyn Fn() -> bool,
) -> Result<(), WriteLoopError> {
    let _turn = shared.turn.lock();
    shared.queue.reopen();
    let (mut has_opened, mut pause) = (false, PAUSE_MIN);
    loop {
        let mut writer = match shared.open() {
            Ok(writer) => writer,
            // It was there, and will be again: that a server restarts is no failure of this thread.
            Err(error) if has_opened && !is_stopping() => {
                tracing::warn!(%error, "the database cannot be opened; it is tried again");
                wait(shared, pause, &error, checkpoint, is_stopping);
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        (has_opened, pause) = (true, PAUSE_MIN);
        let opened = Opened::say(&shared.is_open);
        if serve(shared, writer.as_mut(), checkpoint, is_stopping) == Served::Stopped {
            return Ok(());
        }
        drop(opened);
        tracing::warn!("the writer opens the database anew");
    }
}

/// Lets some time pass, but not the end of the run. Whoever asks meanwhile is told at once that it cannot be now; what is
/// written whether somebody waits or not keeps waiting.
fn wait(
    shared: &Shared,
    time: Duration,
    error: &OpenError,
    checkpoint: &dyn Fn(),
    is_stopping: &dyn Fn() -> bool,
) {
    let began = Instant::now();
    loop {
        refuse(shared, shared.queue.take_asked(), &error.to_string());
        if began.elapsed() >= time || is_stopping() {
            return;
        }
        checkpoint();
        std::thread::sleep(PATIENCE.min(time));
    }
}

/// Answers commands that were not begun.
fn refuse(shared: &Shared, envelopes: Vec<Envelope>, why: &str) {
    for Envelope { command, reply } in envelopes {
        shared.metrics.writer_commands.with_label_values(&[command.kind(), "unavailable"]).inc();
        reply.send(Err(WriteError::NotBegun(why.to_owned())));
    }
}

/// Why the loop does not go on with its connection.
#[derive(PartialEq, Eq)]
enum Served {
    Stopped,
    OutOfReach,
}

fn serve(
    shared: &Shared,
    writer: &mut dyn BatchWriter,
    checkpoint: &dyn Fn(),
    is_stopping: &dyn Fn() -> bool,
) -> Served {
    loop {
        checkpoint();
        match turn(shared, writer, PATIENCE) {
            Turn::Idle if is_stopping() && shared.queue.close_if_empty() => return Served::Stopped,
            Turn::OutOfReach => return Served::OutOfReach,
            Turn::Idle | Turn::Committed => writer.tidy(),
        }
    }
}

/// Applies what waits, or what comes within `patience`, as one batch.
pub(super) fn turn(shared: &Shared, writer: &mut dyn BatchWriter, patience: Duration) -> Turn {
    let Taken { batch, gone } = shared.queue.take(BATCH_COMMANDS_MAX, BATCH_BYTES_MAX, patience);
    refuse(shared, gone, "nobody waits for it any more");
    if batch.is_empty() {
        Turn::Idle
    } else if commit(shared, writer, batch) {
        Turn::Committed
    } else {
        Turn::OutOfReach
    }
}

/// Applies one batch and answers it; `false` when the database has to be opened anew.
fn commit(shared: &Shared, writer: &mut dyn BatchWriter, batch: Vec<Envelope>) -> bool {
    let began = Instant::now();
    // While the batch is applied, the replies live here: when the writer panics, they are dropped and say so.
    let (commands, replies): (Vec<Command>, Vec<Reply>) =
        batch.into_iter().map(|envelope| (envelope.command, envelope.reply)).unzip();
    let metrics = &shared.metrics;
    metrics.writer_batch_commands.observe(f64::from(u32::try_from(commands.len()).unwrap_or(u32::MAX)));
    match writer.apply(&commands) {
        Ok(committed) => {
            let took = began.elapsed();
            metrics.writer_commit_seconds.observe(took.as_secs_f64());
            if took >= shared.slow {
                tracing::warn!(seconds = took.as_secs_f64(), commands = commands.len(), "a commit was slow");
            }
            metrics.writer_batches.with_label_values(&["committed"]).inc();
            count(metrics, &commands, Some(&committed));
            answer(shared, replies, committed);
            true
        }
        Err(BatchError::Busy(why)) => {
            not_applied(metrics, &commands, replies, &why);
            true
        }
        Err(BatchError::Unavailable(why)) => {
            not_applied(metrics, &commands, replies, &why);
            false
        }
        Err(BatchError::SyncFailed(why)) => {
            tracing::error!(error = %why, "the disk did not confirm a sync; what it holds is unknown: ending");
            // Nothing is unwound and nobody is answered: an answer now could only be wrong.
            std::process::abort()
        }
    }
}

fn not_applied(metrics: &Metrics, commands: &[Command], replies: Vec<Reply>, why: &str) {
    tracing::error!(error = %why, commands = commands.len(), "a batch was not applied");
    metrics.writer_batches.with_label_values(&["unavailable"]).inc();
    count(metrics, commands, None);
    for reply in replies {
        reply.send(Err(WriteError::Unavailable(why.to_owned())));
    }
}

fn answer(shared: &Shared, replies: Vec<Reply>, committed: Committed) {
    if let Some(last) = committed.events.last() {
        shared.committed_seq.store(last.seq, Ordering::Release);
    }
    for (reply, outcome) in replies.into_iter().zip(committed.outcomes) {
        reply.send(outcome);
    }
    if committed.events.is_empty() && committed.new_lanes.is_empty() {
        return;
    }
    let sink = shared.sink.lock().clone();
    if let Some(sink) = sink {
        sink(Arc::new(CommitNotice { events: committed.events, new_lanes: committed.new_lanes }));
    }
}

/// Counts a batch's commands: each counter is looked up once a batch, not once a command.
fn count(metrics: &Metrics, commands: &[Command], committed: Option<&Committed>) {
    let mut counts: Vec<(&str, &str, u64)> = Vec::with_capacity(8);
    for (index, command) in commands.iter().enumerate() {
        let outcome = match committed.map(|committed| committed.outcomes.get(index)) {
            Some(Some(Ok(_))) => "applied",
            Some(Some(Err(_)) | None) => "refused",
            None => "unavailable",
        };
        let key = (command.kind(), outcome);
        match counts.iter_mut().find(|(kind, outcome, _)| (*kind, *outcome) == key) {
            Some((.., number)) => *number = number.saturating_add(1),
            None => counts.push((key.0, key.1, 1)),
        }
    }
    for (kind, outcome, number) in counts {
        metrics.writer_commands.with_label_values(&[kind, outcome]).inc_by(number);
    }
}
