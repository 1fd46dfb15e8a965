//! What of the log leaves when: replays of topics that were taken up first, then the stream, from the ring or from history.
//!
//! Invariant: events leave in the order of the log, those of a topic that is taken up at a place too: its replay ends before
//! the stream goes on.
//!
//! Invariant: a poll of the body takes 64 KiB of events, and at most the rest of one frame more, wherever they come from.

use std::time::Duration;

use bytestring::ByteString;
use domain::Timestamp;
use feed::{Entry, Look};
use protocol::live::limits::WAKE_BYTES;

use super::outbox::{News, Out, Outbox};
use super::session::Session;

impl Session {
    /// Sends what the log has, up to what one poll may take.
    pub(crate) fn pump(&mut self, out: &mut Outbox) {
        let mut taken = Taken::of_poll(self.seat.taken_bytes.get());
        self.pump_log(&mut taken, out);
        self.count_events(&taken, true);
    }

    fn pump_log(&mut self, taken: &mut Taken, out: &mut Outbox) {
        while !self.is_held {
            if !taken.has_room() {
                return self.seat.ring_again();
            }
            if let Some(replay) = &mut self.replay {
                let tenant = self.watcher.tenant;
                let wanted = |entry: &Entry| {
                    entry.tenant == tenant && self.subscriptions.missed(&replay.joined, entry)
                };
                match replay.cursor.look(replay.until, |entry| taken.take(entry, wanted(entry), out)) {
                    Look::Done if replay.cursor.place() < replay.until => return self.seat.await_growth(),
                    Look::Done => self.end_replay(),
                    Look::Paused => return self.seat.ring_again(),
                    Look::Older => return self.fetch(out),
                }
                continue;
            }
            if let Some(wish) = self.wishes.pop_front() {
                self.take_up(wish, out);
                continue;
            }
            let place = self.cursor.place();
            let pending = self.update.as_ref().filter(|update| update.offset >= place);
            let until = pending.map_or(i64::MAX, |update| update.offset);
            let wanted =
                |entry: &Entry| self.subscriptions.want(entry) && entry.tenant == self.watcher.tenant;
            match self.cursor.look(until, |entry| taken.take(entry, wanted(entry), out)) {
                Look::Paused => return self.seat.ring_again(),
                Look::Older => return self.fetch(out),
                Look::Done => match self.update.take() {
                    // The projection is ahead of the ring by a moment.
                    Some(update) if update.offset > self.cursor.place() => {
                        self.update = Some(update);
                        return self.seat.await_growth();
                    }
                    Some(update) if update.offset == self.cursor.place() => {
                        let texts: Vec<ByteString> = update.of(&self.subscriptions).cloned().collect();
                        texts.into_iter().for_each(|text| self.send(text, out));
                    }
                    // One that is out of date: the next is at most a second away.
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }

    /// What the topics missed is told: from here on they are like the others.
    fn end_replay(&mut self) {
        if let Some(replay) = self.replay.take() {
            self.subscriptions.begin_at(replay.from, Some(&replay.joined));
        }
    }

    fn count_events(&self, taken: &Taken, is_live: bool) {
        self.seat.taken_bytes.set(taken.before.saturating_add(taken.bytes));
        let metrics = &self.hive.live.metrics;
        metrics.sent_bytes.inc_by(super::session::wide_size(taken.bytes));
        metrics.sent_messages.with_label_values(&["event"]).inc_by(super::session::wide_size(taken.count));
        // How old history is says nothing of how fast it was sent.
        if let Some(at) = taken.oldest_at.filter(|_| is_live) {
            let waited_us = self.hive.clock.now().as_micros().saturating_sub(at.as_micros()).max(0);
            let waited = Duration::from_micros(u64::try_from(waited_us).unwrap_or(0));
            metrics.publish_seconds.observe(waited.as_secs_f64());
        }
    }

    fn fetch(&mut self, out: &mut Outbox) {
        let cursor = self.replay.as_ref().map_or(&self.cursor, |replay| &replay.cursor);
        let history = self.hive.feed.history(cursor, &self.hive.readers);
        self.is_held = true;
        out.errand(async move { News::History(history.await) });
    }

    /// Sends a page of history, as far as this poll may take it; the rest when this is written.
    pub(crate) fn replayed(&mut self, entries: &[Entry], out: &mut Outbox) {
        self.seat.ring_again();
        if self.replay.is_none() && !self.wishes.is_empty() {
            // What a topic missed comes before what follows.
            return;
        }
        let mut taken = Taken::of_poll(self.seat.taken_bytes.get());
        for entry in entries {
            if !taken.has_room() {
                break;
            }
            let is_wanted = match &self.replay {
                Some(replay) => entry.seq <= replay.until && self.subscriptions.missed(&replay.joined, entry),
                None => self.subscriptions.want(entry),
            };
            taken.take(entry, is_wanted && entry.tenant == self.watcher.tenant, out);
            let cursor = self.replay.as_mut().map_or(&mut self.cursor, |replay| &mut replay.cursor);
            cursor.jump(entry.seq);
        }
        self.count_events(&taken, false);
    }
}

/// The share of one poll.
struct Taken {
    /// Bytes that were taken in this poll before.
    before: usize,
    bytes: usize,
    count: usize,
    /// When the first of it was committed, which has waited longest.
    oldest_at: Option<Timestamp>,
}

impl Taken {
    const fn of_poll(before: usize) -> Self {
        Self { before, bytes: 0, count: 0, oldest_at: None }
    }

    const fn has_room(&self) -> bool {
        self.before.saturating_add(self.bytes) < WAKE_BYTES
    }

    /// Takes an event where it is wanted. False: that is enough for this poll.
    fn take(&mut self, entry: &Entry, is_wanted: bool, out: &mut Outbox) -> bool {
        if is_wanted && !entry.encoded.frame.is_empty() {
            self.bytes = self.bytes.saturating_add(entry.encoded.frame.len());
            self.count = self.count.saturating_add(1);
            self.oldest_at = self.oldest_at.or(Some(entry.at));
            out.push(Out::Text(entry.encoded.frame.clone()));
        }
        self.has_room()
    }
}

#[cfg(test)]
mod tests {
    use domain::{EventKind, TenantId};
    use feed::Encoded;

    use super::*;

    fn entry(seq: i64, bytes: usize) -> Entry {
        Entry {
            seq,
            at: Timestamp::from_micros(seq),
            tenant: TenantId::DEFAULT,
            kind: EventKind::TaskSubmitted,
            task: None,
            agent: None,
            queue: None,
            encoded: Encoded { frame: "x".repeat(bytes).into(), event: 0..0 },
        }
    }

    #[test]
    fn a_poll_takes_64_kib_however_often_it_is_asked() {
        let mut out = Outbox::default();
        let mut first = Taken::of_poll(0);
        let events = |taken: &mut Taken, out: &mut Outbox| {
            (1..).take_while(|seq| taken.take(&entry(*seq, 1_000), true, out)).count()
        };
        assert_eq!(events(&mut first, &mut out), 65, "the 66th is beyond 65,536 bytes");
        assert_eq!((first.bytes, first.oldest_at), (66_000, Some(Timestamp::from_micros(1))));
        assert!(!Taken::of_poll(first.bytes).has_room(), "the same poll takes no more");
        let mut half = Taken::of_poll(40_000);
        assert_eq!(events(&mut half, &mut out), 25);
        assert!(Taken::of_poll(65_535).has_room() && !Taken::of_poll(65_536).has_room());
    }
}
