//! One client's connection: the limits on its time that the HTTP library lacks, and the form of what that refuses.
//!
//! ```text
//!   accepted --first byte--> head arrives --gate--> under way --answered--> idle --first byte--> head arrives …
//!      10 s                     10 s                (no limit here)          75 s
//! ```
//!
//! The library reads heads and answers what it cannot read with a bare status. This stream stands below it, so it sees
//! when nothing of a request comes, and when the answer to a broken head leaves.
//!
//! Invariant: a connection without a request under way ends after the idle limit, or after the head's limit since the
//! first byte of a head, on every request of the connection and however slowly bytes come; one whose client does not read ends
//! after the limit on writes.
//!
//! Invariant: what a client has sent before it closed its side is read and answered to its end.
//!
//! Invariant: every error leaves as a problem, also that of a request that nobody could read.

mod client;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::HttpDate;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

pub(crate) use self::client::Client;
use crate::correlation;
use crate::problem::Problem;
use crate::state::ApiSettings;

/// What the kernel may hold for a client that is written to without end; it takes twice that. Left to itself it would hold
/// megabytes for one that does not read, and nobody would notice for long.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How long what a refused client still sends is read: closing before it was read would take the answer from it.
const LINGER: Duration = Duration::from_secs(2);
/// Room for the head of a bare refusal: status line, length, connection and date.
const BARE_HEAD_BYTES_MAX: usize = 256;

/// What the connection and the requests on it tell each other.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// How many requests have begun.
    begun: Cell<u64>,
    under_way: Cell<usize>,
    /// Part of a head has arrived, or the connection is new.
    awaits_head: Cell<bool>,
    is_closed: Cell<bool>,
    closed: Notify,
    /// A body is read, and everything of it that has arrived is taken.
    starves: Cell<bool>,
    /// How long the client may take nothing, where that is another time than usual.
    write_limit: Cell<Option<Duration>>,
    /// Since when there is something for the client and it takes nothing.
    waits_since: Cell<Option<Instant>>,
    /// The client took nothing for that long.
    is_stalled: Cell<bool>,
}

impl Traffic {
    /// One more request, until it is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> UnderWay {
        self.begun.set(self.begun.get().wrapping_add(1));
        self.under_way.set(self.under_way.get().saturating_add(1));
        self.awaits_head.set(false);
        UnderWay(Rc::clone(self))
    }

    /// Comes when the client has closed its side: nothing more comes from it, and it may be gone altogether.
    pub(crate) async fn closed(&self) {
        let notified = self.closed.notified();
        if !self.is_closed() {
            notified.await;
        }
    }

    /// Whether the client has closed its side.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Whether the end of what the client says is kept from the library for now. It would take requests, and the rest of a
    /// body, that it has not read yet as cut off.
    fn holds_end(&self) -> bool {
        self.under_way.get() > 0 && !self.starves.get()
    }

    fn close(&self) {
        self.is_closed.set(true);
        self.closed.notify_waiters();
    }
}

/// A request that is under way on a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Traffic>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}

/// What a connection waits for, with the count that tells one wait from the next of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For the rest of a head.
    Head(u64),
    /// For the next request; the second count grows with what is written.
    Idle(u64, u64),
}

/// The limits on time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    head: Duration,
    idle: Duration,
    write: Duration,
}

/// A client's connection.
pub(crate) struct Connection {
    stream: TcpStream,
    traffic: Rc<Traffic>,
    limits: Limits,
    waits: Option<Waits>,
    due: Pin<Box<Sleep>>,
    /// Runs while the client takes nothing.
    write_due: Option<Pin<Box<Sleep>>>,
    written_count: u64,
    /// The end of what the client says has come, and the library was not told.
    is_end_held: bool,
    /// The kernel holds little for the client, see [`SEND_BUFFER_BYTES`].
    is_narrow: bool,
    refusal: Option<Refusal>,
}

/// A problem on its way out in place of what the library would say, or would not.
struct Refusal {
    bytes: Vec<u8>,
    written: usize,
    /// Runs once everything is written.
    linger: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Takes over an accepted connection.
    pub(crate) fn new(stream: TcpStream, settings: &ApiSettings) -> Self {
        // Without it answers come 40 ms late at worst; nothing else depends on it.
        let _ = stream.set_nodelay(true);
        let limits = Limits {
            head: settings.head_timeout,
            idle: settings.idle_timeout,
            write: settings.write_timeout,
        };
        let traffic = Traffic::default();
        traffic.awaits_head.set(true);
        Self {
            stream,
            traffic: Rc::new(traffic),
            limits,
            waits: None,
            due: Box::pin(sleep(limits.head)),
            write_due: None,
            written_count: 0,
            is_end_held: false,
            is_narrow: false,
            refusal: None,
        }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// What its requests share with it.
    pub(crate) fn traffic(&self) -> Rc<Traffic> {
        Rc::clone(&self.traffic)
    }

    /// Whether it has waited for longer than it may; `None` while a request is under way, which has limits of its own.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Waits> {
        let begun = self.traffic.begun.get();
        let (waits, limit) = if self.traffic.under_way.get() > 0 {
            self.waits = None;
            return Poll::Pending;
        } else if self.traffic.awaits_head.get() {
            (Waits::Head(begun), self.limits.head)
        } else {
            (Waits::Idle(begun, self.written_count), self.limits.idle)
        };
        if self.waits != Some(waits) {
            self.waits = Some(waits);
            self.due.as_mut().reset(Instant::now() + limit);
        }
        self.due.as_mut().poll(cx).map(|()| waits)
    }

    /// Writes the refusal, then reads away what the client still sends, and ends.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        while let Some(rest) = refusal.bytes.get(refusal.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => refusal.written = refusal.written.saturating_add(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return stalled(&mut self.write_due, self.limits.write, cx),
            }
        }
        if refusal.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let linger = refusal.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut room = [0_u8; 4_096];
        while linger.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.refusal = None;
        Poll::Ready(Ok(()))
    }

    /// As `poll_refusal`, seen from a read: the end of what the client says.
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        self.traffic.close();
        Poll::Ready(Ok(()))
    }
}

/// Makes the kernel hold little for a client, and give it up when it acknowledges nothing for as long as the limit: one that
/// vanished is seen though the little that it is sent still fits. Where this fails the kernel holds more, and for longer.
fn narrow(stream: &TcpStream, limit: Duration) {
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER_BYTES);
    let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, limit_ms);
}

/// An error once nothing could be written for as long as the limit.
fn stalled<T>(
    due: &mut Option<Pin<Box<Sleep>>>,
    limit: Duration,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    let due = due.get_or_insert_with(|| Box::pin(sleep(limit)));
    due.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refusal.is_some() {
            return this.poll_refused(cx);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                this.traffic.starves.set(false);
                if this.traffic.under_way.get() == 0 {
                    this.traffic.awaits_head.set(true);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) if this.traffic.holds_end() => {
                this.traffic.close();
                this.is_end_held = true;
                Poll::Pending
            }
            Poll::Ready(ended) => {
                if ended.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
                    // The kernel has waited for the client, see `narrow`.
                    this.traffic.is_stalled.set(true);
                }
                this.traffic.close();
                Poll::Ready(ended)
            }
            Poll::Pending => match ready!(this.poll_due(cx)) {
                // While an answer is stuck halfway, another one cannot be said.
                Waits::Head(_) if this.write_due.is_none() => {
                    this.refusal = Some(Refusal::of(&Problem::HeadLate));
                    this.poll_refused(cx)
                }
                Waits::Head(_) | Waits::Idle(..) => {
                    this.traffic.close();
                    Poll::Ready(Ok(()))
                }
            },
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut bytes = bytes;
        if this.refusal.is_none()
            && let Some((answers, problem)) = bare_refusal(bytes)
        {
            if answers.is_empty() {
                this.refusal = Some(Refusal::of(&problem));
            } else {
                bytes = answers;
            }
        }
        if this.refusal.is_some() {
            ready!(this.poll_refusal(cx))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        if let Some(limit) = this.traffic.write_limit.get().filter(|_| !this.is_narrow) {
            this.is_narrow = true;
            narrow(&this.stream, limit);
        }
        match Pin::new(&mut this.stream).poll_write(cx, bytes) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                // The kernel has waited as long, see `narrow`.
                this.traffic.is_stalled.set(true);
                Poll::Ready(Err(error))
            }
            Poll::Ready(written) => {
                this.write_due = None;
                this.traffic.waits_since.set(None);
                this.written_count = this.written_count.wrapping_add(1);
                Poll::Ready(written)
            }
            Poll::Pending => {
                if this.write_due.is_none() {
                    this.traffic.waits_since.set(Some(Instant::now()));
                }
                let limit = this.traffic.write_limit.get().unwrap_or(this.limits.write);
                let stalled = stalled(&mut this.write_due, limit, cx);
                if stalled.is_ready() {
                    this.traffic.is_stalled.set(true);
                }
                stalled
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The library flushes last of all, so from here on the connection waits: the clock starts.
        let is_due = this.refusal.is_none() && this.poll_due(cx).is_ready();
        let is_end = this.is_end_held && !this.traffic.holds_end();
        if is_due || is_end {
            this.is_end_held &= !is_end;
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Refusal {
    fn of(problem: &Problem) -> Self {
        let correlation_id = correlation::made();
        let status = problem.status();
        tracing::debug!(
            correlation_id = &*correlation_id,
            http.status = status.as_u16(),
            "request unreadable"
        );
        // A struct of texts and numbers always serializes.
        let body = serde_json::to_string(&problem.details("", &correlation_id)).unwrap_or_default();
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: {}\r\n{}: {correlation_id}\r\ndate: {}\r\n\r\n{body}",
            body.len(),
            protocol::problem::MEDIA_TYPE,
            correlation::HEADER,
            HttpDate::from(SystemTime::now()),
        );
        Self { bytes: text.into_bytes(), written: 0, linger: None }
    }
}

/// The problem in place of a refusal that the library wrote at the end of these bytes, and what stands before it.
///
/// No endpoint answers an error without a body, so nothing else looks like that.
fn bare_refusal(bytes: &[u8]) -> Option<(&[u8], Problem)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(BARE_HEAD_BYTES_MAX);
    let start = bytes.get(from..)?.windows(7).rposition(|part| part == b"HTTP/1.")?.checked_add(from)?;
    let (answers, head) = bytes.split_at_checked(start)?;
    let head = std::str::from_utf8(head).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok().and_then(|code| StatusCode::from_u16(code).ok())?;
    if !head.contains("\r\ncontent-length: 0\r\n") {
        return None;
    }
    let problem = match status {
        StatusCode::BAD_REQUEST => Problem::Malformed("the request is not HTTP as it should be".to_owned()),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::HeadTooLarge,
        _ => return None,
    };
    Some((answers, problem))
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
