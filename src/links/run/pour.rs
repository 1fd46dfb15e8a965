//! Reads what a process prints: into pieces of output for whoever takes them, and into the reader of its result.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::guarded::Pipes;
use crate::output::{OutputPiece, Shaper, Stream};
use crate::result::ResultReader;

/// How long output waits for more of it before it leaves as a small piece.
const BEAT: Duration = Duration::from_millis(100);
/// What is read at once, in bytes; as much as a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// When all processes are gone, what is in the pipes is there at once. A pipe that stays open longer than this was given to a
/// process outside of the attempt.
const LINGER: Duration = Duration::from_secs(1);
/// How long it is read at most, however often something comes; the time until somebody takes what was read not counted.
const LINGER_TOTAL: Duration = Duration::from_secs(10);
/// Likewise, one that gives more than this.
const LINGER_BYTES: usize = 1 << 20;

/// Where it goes.
pub(super) struct Sink {
    pub(super) shaper: Shaper,
    pub(super) reader: ResultReader,
    pub(super) output: mpsc::Sender<OutputPiece>,
}

/// Reads both pipes to their end; some longer than `is_over` at most, which tells that all processes are gone.
pub(super) async fn pour<Out, Err>(
    pipes: Pipes<Out, Err>,
    sink: &mut Sink,
    mut is_over: oneshot::Receiver<()>,
) where
    Out: AsyncRead + Unpin,
    Err: AsyncRead + Unpin,
{
    let Pipes { mut stdout, mut stderr } = pipes;
    let (mut out, mut err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let (mut has_out, mut has_err) = (true, true);
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over: Option<Linger> = None;
    while has_out || has_err {
        let read = tokio::select! {
            count = stdout.read(&mut out), if has_out => {
                let read = taken(&out, count);
                has_out = !read.is_empty();
                Some((Stream::Stdout, read))
            }
            count = stderr.read(&mut err), if has_err => {
                let read = taken(&err, count);
                has_err = !read.is_empty();
                Some((Stream::Stderr, read))
            }
            _ = beat.tick() => None,
            _ = &mut is_over, if over.is_none() => {
                over = Some(Linger::new(Instant::now()));
                continue;
            }
            () = until(over.as_ref()) => break,
        };
        let began = Instant::now();
        match read {
            Some((stream, read)) => sink.push(stream, read).await,
            None => sink.flush().await,
        }
        let bytes = read.map_or(0, |(_, read)| read.len());
        if over.as_mut().is_some_and(|linger| !linger.goes_on(bytes, began.elapsed())) {
            break;
        }
    }
}

/// What is still read when all processes are gone.
struct Linger {
    until: Instant,
    /// The last moment of all, however often something comes.
    end: Instant,
    bytes: usize,
}

impl Linger {
    fn new(now: Instant) -> Self {
        Self { until: now + LINGER, end: now + LINGER_TOTAL, bytes: 0 }
    }

    /// So much was read, and `held_up` waited until somebody took it. Answers whether more may be read.
    fn goes_on(&mut self, bytes: usize, held_up: Duration) -> bool {
        self.bytes += bytes;
        self.end += held_up;
        let until = if bytes > 0 { Instant::now() + LINGER } else { self.until + held_up };
        self.until = until.min(self.end);
        self.bytes <= LINGER_BYTES
    }
}

impl Sink {
    /// Takes what was read. Waits when nobody takes the pieces: that holds the process up.
    async fn push(&mut self, stream: Stream, read: &[u8]) {
        match stream {
            Stream::Stdout => self.reader.push(read),
            Stream::Stderr => self.reader.push_error(read),
        }
        self.shaper.push(stream, read);
        while let Some(piece) = self.shaper.take() {
            self.send(piece).await;
        }
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

#[cfg(test)]
mod tests {
    use domain::ResultFormat;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex, empty};

    use super::*;

    /// Reads a pipe of an attempt whose processes are gone; what was read, and for how long.
    async fn poured(stdout: DuplexStream, taken_after: Duration) -> (usize, Duration) {
        let (output, mut pieces) = mpsc::channel(1);
        let mut sink = Sink {
            shaper: Shaper::new(1 << 30, &[]),
            reader: ResultReader::new(ResultFormat::Text, 1, &[]),
            output,
        };
        let (over, is_over) = oneshot::channel();
        over.send(()).unwrap();
        let began = Instant::now();
        let reading = async {
            pour(Pipes { stdout, stderr: empty() }, &mut sink, is_over).await;
            drop(sink);
        };
        let taking = async {
            let mut bytes = 0;
            while let Some(piece) = pieces.recv().await {
                bytes += piece.text.len();
                tokio::time::sleep(taken_after).await;
            }
            bytes
        };
        let ((), bytes) = tokio::join!(reading, taking);
        (bytes, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_outsider_who_goes_on_writing_a_little_does_not_hold_the_end_up() {
        let (stdout, mut outsider) = duplex(64);
        let drip = async {
            while outsider.write_all(b".").await.is_ok() {
                tokio::time::sleep(LINGER / 2).await;
            }
        };
        let ((_, took), ()) = tokio::join!(poured(stdout, Duration::ZERO), drip);
        assert!(took >= LINGER && took < LINGER_TOTAL * 2, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_processes_left_in_the_pipe_is_read_however_slowly_it_is_taken() {
        let left = LINGER_BYTES;
        let (stdout, mut pipe) = duplex(left);
        pipe.write_all(&vec![b'x'; left]).await.unwrap();
        drop(pipe);
        assert_eq!(poured(stdout, LINGER * 5).await.0, left);
    }
}
