//! Reads what a process prints: into pieces of output for whoever takes them, and into the reader of its result.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::guarded::Pipes;
use crate::output::{OutputPiece, Shaper};
use crate::result::ResultReader;

/// How long output waits for more of it before it leaves as a small piece.
const BEAT: Duration = Duration::from_millis(100);
/// What is read at once, in bytes; as much as a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// When all processes are gone, what is in the pipes is there at once. A pipe that stays open longer than this was given to a
/// process outside of the attempt.
const LINGER: Duration = Duration::from_secs(1);
/// Likewise, one that gives more than this.
const LINGER_BYTES: usize = 1 << 20;

/// Where it goes.
pub(super) struct Sink {
    pub(super) shaper: Shaper,
    pub(super) reader: ResultReader,
    pub(super) output: mpsc::Sender<OutputPiece>,
}

/// Reads both pipes to their end; some longer than `is_over` at most, which tells that all processes are gone.
pub(super) async fn pour(pipes: Pipes, sink: &mut Sink, mut is_over: oneshot::Receiver<()>) {
    let Pipes { mut stdout, mut stderr } = pipes;
    let (mut out, mut err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let (mut has_out, mut has_err) = (true, true);
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over: Option<Linger> = None;
    while has_out || has_err {
        let count = tokio::select! {
            count = stdout.read(&mut out), if has_out => {
                let read = taken(&out, count);
                has_out = !read.is_empty();
                sink.reader.push(read);
                sink.push(read).await
            }
            count = stderr.read(&mut err), if has_err => {
                let read = taken(&err, count);
                has_err = !read.is_empty();
                sink.reader.push_error(read);
                sink.push(read).await
            }
            _ = beat.tick() => {
                sink.flush().await;
                0
            }
            _ = &mut is_over, if over.is_none() => {
                over = Some(Linger { until: Instant::now() + LINGER, bytes: 0 });
                0
            }
            () = until(over.as_ref()) => break,
        };
        if let Some(linger) = over.as_mut().filter(|_| count > 0) {
            linger.bytes += count;
            linger.until = Instant::now() + LINGER;
            if linger.bytes > LINGER_BYTES {
                break;
            }
        }
    }
}

/// What is still read when all processes are gone.
struct Linger {
    until: Instant,
    bytes: usize,
}

impl Sink {
    /// Takes what was read; answers how much. Waits when nobody takes the pieces: that holds the process up.
    async fn push(&mut self, read: &[u8]) -> usize {
        self.shaper.push(read);
        while let Some(piece) = self.shaper.take() {
            self.send(piece).await;
        }
        read.len()
    }

    async fn flush(&mut self) {
        while let Some(piece) = self.shaper.flush() {
            self.send(piece).await;
        }
    }

    async fn send(&self, piece: OutputPiece) {
        // where nobody wants it any more, the process need not care
        let _ = self.output.send(piece).await;
    }
}

/// What a read gave; nothing at the end, and a pipe that fails is at its end.
fn taken(buffer: &[u8], count: io::Result<usize>) -> &[u8] {
    buffer.get(..count.unwrap_or(0)).unwrap_or_default()
}

async fn until(linger: Option<&Linger>) {
    match linger {
        Some(linger) => sleep_until(linger.until).await,
        None => std::future::pending().await,
    }
}
