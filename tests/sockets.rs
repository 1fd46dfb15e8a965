//! Plain sockets to a hive: requests as they are written, answers as they come, byte by byte where a test wants it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{Hive, PATIENCE};

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its status line and fields, names in lower case.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// A field of the head.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }

    /// The code of the problem that it is.
    ///
    /// # Errors
    /// When it is no problem, or has no correlation id in head and body.
    pub fn problem(&self) -> Result<String> {
        let problem = self.json()?;
        ensure!(self.field("content-type") == Some("application/problem+json"), "{self:?}");
        ensure!(problem["status"] == self.status, "{self:?}");
        let id = problem["correlation_id"].as_str().context("a correlation id")?;
        ensure!(self.field("x-correlation-id") == Some(id) && !id.is_empty(), "{self:?}");
        Ok(problem["code"].as_str().context("a code")?.to_owned())
    }
}

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn to(hive: &Hive) -> Result<Self> {
        let stream = TcpStream::connect(hive.url.strip_prefix("http://").context("a url")?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.stream.write_all(bytes.as_ref())?)
    }

    /// Another handle of the same connection, for a thread that only sends.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn sender(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    /// Sends one byte each so often, until something comes back or it cannot send any more. The time that took.
    ///
    /// # Errors
    /// When everything is sent and nothing came.
    pub fn trickle(&mut self, bytes: &[u8], pause: Duration) -> Result<Duration> {
        let began = Instant::now();
        self.stream.set_read_timeout(Some(pause))?;
        for byte in bytes {
            if self.stream.write_all(&[*byte]).is_err() {
                break;
            }
            let mut room = [0; 4_096];
            match self.stream.read(&mut room) {
                Ok(count) => {
                    self.read.extend_from_slice(&room[..count]);
                    break;
                }
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(!self.read.is_empty(), "no answer after all was sent");
        self.stream.set_read_timeout(Some(PATIENCE))?;
        Ok(began.elapsed())
    }

    /// Closes the side that sends; what comes can still be read.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn close_sending(&self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// When the connection ends before it is there in whole.
    pub fn answer(&mut self) -> Result<Answer> {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|part| part == b"\r\n\r\n") {
                break at;
            }
            ensure!(self.more()?, "the connection ended: {:?}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8(self.read.drain(..head_end + 4).collect())?;
        let mut lines = head.trim_end().lines();
        let first = lines.next().context("a status line")?.to_owned();
        let fields = lines.map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("\n{}: {value}", name.to_lowercase()),
            None => format!("\n{line}"),
        });
        let head = first.clone() + &fields.collect::<String>();
        let status = first.split(' ').nth(1).context("a status")?.parse()?;
        let mut answer = Answer { status, head, body: String::new() };
        let length: usize = answer.field("content-length").unwrap_or("0").parse()?;
        while self.read.len() < length {
            ensure!(self.more()?, "the connection ended in a body: {answer:?}");
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect())?;
        Ok(answer)
    }

    /// Reads until the other side has closed, and says what still came; a reset is an end, too.
    ///
    /// # Errors
    /// When it stays open.
    pub fn rest(&mut self) -> Result<String> {
        loop {
            match self.more() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
                    Some(std::io::ErrorKind::ConnectionReset) => break,
                    _ => return Err(error),
                },
            }
        }
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned())
    }

    fn more(&mut self) -> Result<bool> {
        let mut room = vec![0; 65_536];
        let count = self.stream.read(&mut room)?;
        self.read.extend_from_slice(&room[..count]);
        Ok(count > 0)
    }
}

/// A request with the admin token and, where it has one, a JSON body.
#[must_use]
pub fn request(hive: &Hive, method: &str, path: &str, body: Option<&Value>) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: hive\r\nAuthorization: Bearer {}\r\n", hive.token);
    match body.map(Value::to_string) {
        Some(body) => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        None => head + "\r\n",
    }
}

/// How many files the hive has open: sockets and everything else.
///
/// # Errors
/// When it is gone.
pub fn open_files(hive: &Hive) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", hive.pid()))?.count())
}

/// Its resident memory in KiB.
///
/// # Errors
/// When it is gone.
pub fn resident_kib(hive: &Hive) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hive.pid()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}

/// Waits until the hive has no more files open than this.
///
/// # Errors
/// When it keeps more.
pub fn until_open_files(hive: &Hive, at_most: usize) -> Result<()> {
    let began = Instant::now();
    loop {
        let open = open_files(hive)?;
        if open <= at_most {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("{open} files stay open instead of {at_most}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
