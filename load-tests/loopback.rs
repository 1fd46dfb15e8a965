//! Frames over loopback, without a hive: another process writes the same frame to all connections again and again, and they
//! are read as sessions are.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::fan_out::frame;
use crate::plan::{Plan, rate};
use crate::report::Ceiling;

/// The argument that makes this program one that writes frames; behind it stand how many connections, how many bytes a frame
/// has, and how many frames each connection is sent.
pub const PLAIN_FRAMES: &str = "plain-frames";
/// Frames of a run, over all connections; a quick one has a tenth.
const FRAMES: usize = 2_000_000;
/// Bytes of one write at most.
const WRITE_BYTES: usize = 64 << 10;

/// Writes frames as its arguments say, once there are as many connections; the first line it prints is where.
pub fn write_plainly(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut number = || -> Result<usize> { Ok(arguments.next().context("a number")?.parse()?) };
    let (connections, bytes, frames) = (number()?, number()?, number()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let mut streams = Vec::new();
    for _ in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    // As a server does that never masks: text, whole, with the length in two bytes.
    let mut frame = vec![0x81, 126];
    frame.extend(u16::try_from(bytes)?.to_be_bytes());
    frame.resize(frame.len() + bytes, b'x');
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let shares = streams.chunks(connections.div_ceil(threads).max(1));
        let writers: Vec<_> = shares.map(|share| scope.spawn(|| write(share, &frame, frames))).collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?)
    })
}

/// As many frames a write as fit: what waits goes out together, as in a burst of a hive.
fn write(streams: &[TcpStream], frame: &[u8], frames: usize) -> Result<()> {
    let together = (WRITE_BYTES / frame.len()).clamp(1, frames.max(1));
    let (whole, mut left) = (frame.repeat(together), frames);
    while left > 0 {
        let count = together.min(left);
        for mut stream in streams {
            stream.write_all(whole.get(..count * frame.len()).unwrap_or_default())?;
        }
        left -= count;
    }
    Ok(())
}

/// A process that writes frames; ended when dropped.
struct Plain(Child);

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Frames of a length that so many connections read.
pub async fn frames(plan: &Plan, (connections, bytes): (usize, usize), above: &str) -> Result<Ceiling> {
    let all = if plan.is_quick { FRAMES / 10 } else { FRAMES };
    let frames = all.div_ceil(connections);
    let mut runs = Vec::new();
    for _ in 0..plan.runs.max(1) {
        runs.push(round(connections, bytes, frames).await?);
    }
    let name = format!("frames of {bytes} bytes over loopback, 64 KiB a write, {connections} connections");
    Ok(Ceiling { name, unit: "deliveries".to_owned(), runs, above: vec![above.to_owned()] })
}

async fn round(connections: usize, bytes: usize, frames: usize) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(PLAIN_FRAMES).args([connections, bytes, frames].map(|number| number.to_string()));
    let mut plain = Plain(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    let mut address = String::new();
    BufReader::new(plain.0.stdout.take().context("its words")?).read_line(&mut address)?;
    let first_at = Rc::new(Cell::new(None));
    let mut readers = JoinSet::new();
    for _ in 0..connections {
        let stream = tokio::net::TcpStream::connect(address.trim()).await?;
        readers.spawn_local(read(stream, frames, Rc::clone(&first_at)));
    }
    while let Some(read) = readers.join_next().await {
        read??;
    }
    let first: Instant = first_at.get().context("nothing came")?;
    Ok(rate(u64::try_from(frames * connections)?, first.elapsed().as_secs_f64()))
}

async fn read(
    mut stream: tokio::net::TcpStream,
    frames: usize,
    first_at: Rc<Cell<Option<Instant>>>,
) -> Result<()> {
    let (mut bytes, mut room, mut left) = (Vec::with_capacity(4_096), vec![0_u8; 65_536], frames);
    while left > 0 {
        let count = stream.read(&mut room).await?;
        ensure!(count > 0, "the connection ended {left} frames early");
        first_at.set(first_at.get().or_else(|| Some(Instant::now())));
        bytes.extend_from_slice(room.get(..count).unwrap_or_default());
        let mut rest = bytes.as_slice();
        while let Some((_, behind)) = frame(rest) {
            left = left.saturating_sub(1);
            rest = behind;
        }
        let kept = bytes.len() - rest.len();
        bytes.drain(..kept);
    }
    Ok(())
}
