//! The end of the log in memory: each event encoded once, for all who follow it.
//!
//! ```text
//!   fold --append--> ring (the last 64 Ki events) --read--> cursors: sessions, server-sent events
//!                      store --history----------------------^   (what the ring no longer has, or not yet)
//! ```
//!
//! Invariant: the ring holds an unbroken run of the log that ends with the last folded event. Nobody follows: it is empty.
//!
//! Invariant: a cursor takes every event after its place, once and in order, whichever of ring and store has it; where
//! neither has the next one, it says so. There is no seam: live, resume and history differ in the place alone.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytestring::ByteString;
use domain::{AgentId, Event, EventKind, Name, TaskId, TenantId, Timestamp};
use parking_lot::RwLock;
use store::Readers;
use store::error::ReadError;
use tokio::sync::watch;

/// Events that the ring holds at most.
pub const RING_EVENTS: usize = 65_536;
/// Bytes of encoded events that the ring holds at most; a usual event has half a kilobyte.
pub const RING_BYTES: usize = 48 << 20;
/// Events of one read of history: 64 KiB at most, since an encoded event has 1 KiB at most.
const HISTORY_EVENTS: u32 = 64;

/// An event as it leaves on the wire.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The whole frame.
    pub frame: ByteString,
    /// Where in it the event alone stands.
    pub event: Range<usize>,
}

/// Makes the wire form of an event; the name is that of its queue.
pub type Encode = Arc<dyn Fn(&Event, Option<&Name>) -> Encoded + Send + Sync>;

/// One event of the log, with what decides who gets it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the log.
    pub seq: i64,
    /// When it was committed.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// What happened.
    pub kind: EventKind,
    /// To which task.
    pub task: Option<TaskId>,
    /// To or by which agent.
    pub agent: Option<AgentId>,
    /// In which queue.
    pub queue: Option<Name>,
    /// Its wire form.
    pub encoded: Encoded,
}

impl Entry {
    /// The event alone, as JSON; shares the frame's bytes.
    #[must_use]
    pub fn event_json(&self) -> ByteString {
        let Range { start, end } = self.encoded.event;
        let text: &str = &self.encoded.frame;
        text.get(start..end).map_or_else(ByteString::new, |part| self.encoded.frame.slice_ref(part))
    }
}

/// The end of the log. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    ring: RwLock<Ring>,
    head: watch::Sender<i64>,
    followers: AtomicUsize,
    encode: Encode,
    events_max: usize,
}

#[derive(Default)]
struct Ring {
    /// `seq` of the oldest entry, or of the next one when there is none.
    first: i64,
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Log {
    /// An empty one that holds at most `events_max` events.
    #[must_use]
    pub fn new(encode: Encode, events_max: usize) -> Self {
        let (head, _) = watch::channel(0);
        let ring = RwLock::new(Ring::default());
        Self { inner: Arc::new(Inner { ring, head, followers: AtomicUsize::new(0), encode, events_max }) }
    }

    /// The last event of the log that is known here.
    #[must_use]
    pub fn head(&self) -> i64 {
        *self.inner.head.borrow()
    }

    /// Tells of every growth of the log.
    #[must_use]
    pub fn growth(&self) -> watch::Receiver<i64> {
        self.inner.head.subscribe()
    }

    /// Events in memory now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner.ring.read().entries.len()
    }

    /// A cursor that takes what comes after `place`.
    #[must_use]
    pub fn follow(&self, place: i64) -> Cursor {
        self.inner.followers.fetch_add(1, Ordering::AcqRel);
        Cursor { log: self.clone(), place }
    }

    /// Whether somebody follows, so that what is appended is kept.
    pub(crate) fn is_followed(&self) -> bool {
        self.inner.followers.load(Ordering::Acquire) > 0
    }

    /// Adds what was folded, each event with the name of its queue. Without the names it is not kept.
    pub(crate) fn append(&self, events: &[Event], queues: Vec<Option<Name>>) {
        // What is known already comes again after a rebuild; the end of the log does not move back for it.
        let Some(last) = events.last().filter(|last| last.seq > self.head()) else { return };
        if queues.len() != events.len() {
            self.restart_after(last.seq);
            return;
        }
        let entries: Vec<Entry> =
            events.iter().zip(queues).map(|(event, queue)| self.entry(event, queue)).collect();
        {
            let mut ring = self.inner.ring.write();
            for entry in entries {
                if entry.seq < ring.next() {
                    continue;
                }
                ring.push(entry, self.inner.events_max);
            }
        }
        self.inner.head.send_replace(last.seq);
    }

    /// Forgets everything: the next event is the one after `seq`. What lies before is read from the store.
    pub(crate) fn restart_after(&self, seq: i64) {
        {
            let mut ring = self.inner.ring.write();
            ring.entries.clear();
            ring.entries.shrink_to(1_024);
            ring.bytes = 0;
            ring.first = seq.saturating_add(1);
        }
        self.inner.head.send_replace(seq);
    }

    fn entry(&self, event: &Event, queue: Option<Name>) -> Entry {
        Entry {
            seq: event.seq,
            at: event.at,
            tenant: event.tenant,
            kind: event.kind,
            task: event.task,
            agent: event.agent,
            encoded: (self.inner.encode)(event, queue.as_ref()),
            queue,
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Ring {
    fn next(&self) -> i64 {
        self.first.saturating_add(i64::try_from(self.entries.len()).unwrap_or(i64::MAX))
    }

    fn push(&mut self, entry: Entry, events_max: usize) {
        if entry.seq != self.next() {
            // Something is missing in between; the store has it.
            self.entries.clear();
            self.bytes = 0;
            self.first = entry.seq;
        }
        self.bytes = self.bytes.saturating_add(entry.encoded.frame.len());
        self.entries.push_back(entry);
        while self.entries.len() > events_max || self.bytes > RING_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.encoded.frame.len());
            self.first = self.first.saturating_add(1);
        }
    }
}

/// What a look at the ring found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Everything up to the limit is taken.
    Done,
    /// The taker wanted no more for now.
    Paused,
    /// The next event is older than the ring: [`Cursor::history`] has it.
    Older,
}

/// A place in the log, and what comes after it.
pub struct Cursor {
    log: Log,
    place: i64,
}

impl Cursor {
    /// The last event that was taken, or passed.
    #[must_use]
    pub const fn place(&self) -> i64 {
        self.place
    }

    /// How many events lie between the place and the end of the log.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.log.head().saturating_sub(self.place).max(0)
    }

    /// Goes elsewhere.
    pub fn jump(&mut self, place: i64) {
        self.place = place;
    }

    /// Takes events from the ring up to `until`, in order, while `take` says true. It must do little: the fold waits.
    pub fn look(&mut self, until: i64, mut take: impl FnMut(&Entry) -> bool) -> Look {
        if self.place >= until {
            return Look::Done;
        }
        let ring = self.log.inner.ring.read();
        let next = self.place.saturating_add(1);
        if next < ring.first {
            return Look::Older;
        }
        let from = usize::try_from(next.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        for entry in ring.entries.iter().skip(from) {
            if entry.seq > until {
                break;
            }
            self.place = entry.seq;
            if !take(entry) {
                return Look::Paused;
            }
        }
        Look::Done
    }

    /// What a read of history needs, apart from the cursor, so that it can be done elsewhere.
    #[must_use]
    pub fn history(&self) -> History {
        History { log: self.log.clone(), after: self.place }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.log.inner.followers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A read of the log from the store.
#[derive(Debug)]
pub struct History {
    log: Log,
    after: i64,
}

/// Why history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The next event is not stored any more.
    #[error("the log begins after event {after}: what followed it is not kept any more")]
    Gone {
        /// The place from which it was asked.
        after: i64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl History {
    /// The next events, at most 64 of them, in order and without a gap; none only at the end of the log. Each is passed
    /// with the name of its queue, for which `queue` asks the projection.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn read(
        self,
        readers: &Readers,
        queue: impl Fn(&Event) -> Option<Name>,
    ) -> Result<Vec<Entry>, HistoryError> {
        // Of before the read: what is folded by now is stored, or was removed since.
        let head = self.log.head();
        let events = readers.events_raw(self.after, HISTORY_EVENTS).await?;
        let expected = self.after.saturating_add(1)..;
        // What is committed but not folded yet comes through the ring: its lane may not be known here.
        let unbroken =
            events.iter().zip(expected).take_while(|(event, seq)| event.seq == *seq && *seq <= head);
        let entries: Vec<Entry> = unbroken.map(|(event, _)| self.log.entry(event, queue(event))).collect();
        if entries.is_empty() && self.after < head {
            return Err(HistoryError::Gone { after: self.after });
        }
        Ok(entries)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
