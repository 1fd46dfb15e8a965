//! One session: a cursor on the log, the subscriptions that say what of it is sent, and the answers to its client.
//!
//! Started by [`super::connect`], owned by the socket, temporary under the session supervisor. It decides; what is to
//! be done goes into the [`Outbox`].
//!
//! Invariant: events leave in the order of the log; a replay of topics that joined later ends before the stream goes on.

use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use domain::Timestamp;
use feed::{Cursor, Entry, HistoryError, Look};
use protocol::live::CONTRACT_VERSION;
use protocol::live::frame::{Body, ConnectionFacts, Frame};
use protocol::live::limits::{Ending, MESSAGE_BYTES_HARD_MAX, WAKE_BYTES};
use protocol::live::topic::{Root, Topic};

use super::bucket::Bucket;
use super::greeting::Greeting;
use super::measure::{self, Updates};
use super::admission::tell_end;
use super::guard::Valve;
use super::outbox::{Heard, News, Out, Outbox, Party};
use super::replay::{Reach, Replay, reach};
use super::roster::{Key, Roster};
use super::seat::Seat;
use super::subscriptions::{Subscriptions, Watcher};
use crate::principal::Principal;
use crate::state::Hive;

/// A session.
pub(crate) struct Session {
    pub(crate) hive: Hive,
    pub(crate) principal: Principal,
    pub(crate) watcher: Watcher,
    pub(crate) greeting: Greeting,
    pub(crate) seat: Rc<Seat>,
    pub(crate) key: Key,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) bucket: Bucket,
    /// Questions that wait for the one that is being answered.
    pub(crate) questions: super::ask::Questions,
    cursor: Cursor,
    replay: Option<Replay>,
    update: Option<Rc<Updates>>,
    /// An errand is under way without which the stream cannot go on.
    is_held: bool,
    /// Why it ends, once it does.
    pub(crate) ending: Option<Ending>,
}

impl Session {
    /// One that has not said anything yet.
    pub(crate) fn new(hive: Hive, principal: Principal, greeting: Greeting, seat: Rc<Seat>) -> Self {
        let settings = &hive.live.settings;
        let bucket = Bucket::new(settings.messages_per_second, settings.burst, std::time::Instant::now());
        let key = Roster::here().join(Rc::clone(&seat));
        Self {
            cursor: hive.feed.log().follow(hive.feed.seq()),
            watcher: Watcher::of(&principal),
            principal,
            greeting,
            seat,
            key,
            subscriptions: Subscriptions::default(),
            bucket,
            questions: super::ask::Questions::default(),
            replay: None,
            update: None,
            is_held: false,
            ending: None,
            hive,
        }
    }

    /// Says the first frames.
    pub(crate) fn open(&mut self, out: &mut Outbox) {
        let max = self.hive.live.settings.subscriptions_max;
        let written = std::mem::take(&mut self.greeting.topics);
        let added = self.subscriptions.add(&written, &self.watcher, max);
        self.subscribed();
        let body = Body::ConnectionEstablished {
            connection_id: self.greeting.id.to_string(),
            subscriptions: self.subscriptions.texts(),
            server_time: self.hive.clock.now(),
            contract_version: CONTRACT_VERSION.to_owned(),
            epoch: self.hive.facts.epoch.clone(),
            offset: self.cursor.place(),
        };
        self.say(body, None, out);
        let is_forbidden = self.subscriptions.is_empty() && !self.watcher.may_ask();
        for refusal in added.refusals {
            self.refuse(refusal, None, out);
        }
        if is_forbidden {
            return self.end(Ending::Forbidden, out);
        }
        self.tell_alerts(&added.topics, out);
        match self.greeting.resume.take() {
            None => self.show_state(out),
            Some(place) => {
                self.is_held = true;
                let hive = self.hive.clone();
                out.errand(async move { News::Reach(reach(hive, place, None).await) });
            }
        }
    }

    /// Who begins to hear alerts is told what is raised.
    pub(crate) fn tell_alerts(&self, added: &[Topic], out: &mut Outbox) {
        let hears = added.iter().any(|topic| topic.root() == Root::Alerts);
        if let Some(raised) = self.hive.live.lookout.raised().filter(|_| hears) {
            self.say(raised, None, out);
        }
    }

    /// The bell was heard.
    pub(crate) fn wake(&mut self, out: &mut Outbox) {
        let (orders, is_lagging) = self.seat.take();
        if self.ending.is_some() {
            return;
        }
        if let Some(ending) = orders.close {
            return self.end(ending, out);
        }
        if is_lagging && self.greeting.is_strict {
            return self.end(Ending::SlowConsumer, out);
        }
        if is_lagging && self.cursor.lag() > 0 && !self.is_held {
            self.skip(out);
        }
        if orders.ping {
            out.push(Out::Ping);
        }
        for text in orders.said {
            self.send(text, out);
        }
        if let Some(update) = orders.updates {
            self.update = Some(update);
        }
        self.pump(out);
    }

    /// An errand came back.
    pub(crate) fn hear(&mut self, news: News, out: &mut Outbox) {
        if self.ending.is_some() {
            return;
        }
        match news {
            News::Data(body, correlation_id) => {
                self.say(*body, Some(correlation_id), out);
                return self.next_question(out);
            }
            News::Reach(reach) => self.resume(reach, out),
            News::History(found) => {
                self.is_held = false;
                match found {
                    Ok(entries) => self.replayed(&entries, out),
                    Err(HistoryError::Gone { .. }) => self.skip(out),
                    Err(HistoryError::Read(error)) => {
                        tracing::warn!(session.id = &*self.greeting.id, %error, "history cannot be read");
                        self.skip(out);
                    }
                }
            }
        }
        self.pump(out);
    }

    fn resume(&mut self, reach: Reach, out: &mut Outbox) {
        self.is_held = false;
        let result = if reach.is_whole { "recovered" } else { "not_recovered" };
        self.hive.live.metrics.resumes.with_label_values(&[result]).inc();
        tracing::debug!(
            session.id = &*self.greeting.id,
            correlation_id = &*self.principal.caller.correlation_id,
            result,
            from = reach.from,
            to = reach.head,
            "session resumes"
        );
        let body = Body::Resumed { recovered: reach.is_whole, from: reach.from, to: reach.head };
        self.say(body, None, out);
        match (reach.is_whole, reach.joined) {
            (false, None) => self.show_state(out),
            (false, Some(_)) => self.skip(out),
            (true, None) => self.cursor.jump(reach.from),
            (true, Some(joined)) => {
                let until = self.cursor.place();
                if reach.from < until {
                    let cursor = self.hive.feed.log().follow(reach.from);
                    self.replay = Some(Replay { cursor, joined, until });
                }
            }
        }
    }

    /// Topics that joined are taken up at a place.
    pub(crate) fn take_up(
        &mut self,
        place: protocol::live::client::Place,
        joined: Subscriptions,
        out: &mut Outbox,
    ) {
        self.is_held = true;
        let hive = self.hive.clone();
        out.errand(async move { News::Reach(reach(hive, place, Some(joined)).await) });
    }

    /// Whether the stream waits for something; a place to take up must not overtake another one.
    pub(crate) const fn is_held(&self) -> bool {
        self.is_held || self.replay.is_some()
    }

    /// The state as it is, and the cursor right behind it.
    fn show_state(&mut self, out: &mut Outbox) {
        let (snapshot, offset) = measure::snapshot(&self.hive, &self.subscriptions);
        self.replay = None;
        self.cursor.jump(offset);
        let body = Body::DashboardInitialized {
            subscriptions: self.subscriptions.texts(),
            connection_info: ConnectionFacts {
                connection_id: self.greeting.id.to_string(),
                endpoint: self.greeting.endpoint.as_str().to_owned(),
                principal: self.principal.caller.principal.to_string(),
                role: self.principal.role.to_string(),
            },
            snapshot: Box::new(snapshot),
            epoch: self.hive.facts.epoch.clone(),
            offset,
        };
        self.say(body, None, out);
    }

    /// Leaves out what is there, says so, and goes on behind the state as it is now.
    fn skip(&mut self, out: &mut Outbox) {
        let place = self.replay.as_ref().map_or(self.cursor.place(), |replay| replay.cursor.place());
        let at = out.out.len();
        self.show_state(out);
        let (from, to) = (place.saturating_add(1), self.cursor.place());
        if to < from {
            return;
        }
        self.hive.live.metrics.drops.with_label_values(&["slow_consumer"]).inc_by(wide(to - from + 1));
        tracing::info!(
            session.id = &*self.greeting.id,
            correlation_id = &*self.principal.caller.correlation_id,
            reason = "slow_consumer",
            from,
            to,
            "events skipped"
        );
        let skipped = self.text(Body::EventsSkipped { from, to }, None);
        self.count_sent(&skipped);
        out.out.insert(at, Out::Text(skipped));
    }

    /// Sends what the log has, up to what one poll may take.
    pub(crate) fn pump(&mut self, out: &mut Outbox) {
        let mut taken = Taken::default();
        self.pump_log(&mut taken, out);
        self.count_events(&taken);
    }

    fn pump_log(&mut self, taken: &mut Taken, out: &mut Outbox) {
        while !self.is_held {
            if let Some(replay) = &mut self.replay {
                let wanted = |entry: &Entry| replay.joined.want(entry) && entry.tenant == self.watcher.tenant;
                match replay.cursor.look(replay.until, |entry| taken.take(entry, wanted(entry), out)) {
                    Look::Done => self.replay = None,
                    Look::Paused => return self.seat.ring_again(),
                    Look::Older => return self.fetch(out),
                }
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
                    // What the ring does not have yet comes with the next ring of the bell.
                    Some(update) if update.offset > self.cursor.place() => {
                        self.update = Some(update);
                        return;
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

    fn count_events(&self, taken: &Taken) {
        let metrics = &self.hive.live.metrics;
        metrics.sent_bytes.inc_by(wide_size(taken.bytes));
        metrics.sent_messages.with_label_values(&["event"]).inc_by(wide_size(taken.count));
        if let Some(at) = taken.newest_at {
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

    fn replayed(&mut self, entries: &[Entry], out: &mut Outbox) {
        let Some(last) = entries.last() else { return };
        let mut taken = Taken::default();
        for entry in entries {
            let is_wanted = match &self.replay {
                Some(replay) => entry.seq <= replay.until && replay.joined.want(entry),
                None => self.subscriptions.want(entry),
            };
            taken.take(entry, is_wanted && entry.tenant == self.watcher.tenant, out);
        }
        // How old history is says nothing of how fast it was sent.
        taken.newest_at = None;
        self.count_events(&taken);
        let cursor = self.replay.as_mut().map_or(&mut self.cursor, |replay| &mut replay.cursor);
        cursor.jump(last.seq);
        // The rest when this is written.
        self.is_held = false;
        self.seat.ring_again();
    }

    /// Ends it, and says why.
    pub(crate) fn end(&mut self, ending: Ending, out: &mut Outbox) {
        if self.ending.is_some() {
            return;
        }
        self.say(Body::DisconnectNotice { reason: ending.reason().to_owned() }, None, out);
        self.ending = Some(ending);
        out.push(Out::Close(ending));
    }

    /// Refuses something, and counts it.
    pub(crate) fn refuse(&self, body: Body, correlation_id: Option<String>, out: &mut Outbox) {
        if let Body::Error { code, .. } = &body {
            self.hive.live.metrics.errors.with_label_values(&[code.as_str()]).inc();
            tracing::debug!(
                session.id = &*self.greeting.id,
                correlation_id = correlation_id.as_deref().unwrap_or(&self.principal.caller.correlation_id),
                reason = code.as_str(),
                "session refused"
            );
        }
        self.say(body, correlation_id, out);
    }

    /// Says something that is for this session alone.
    pub(crate) fn say(&self, body: Body, correlation_id: Option<String>, out: &mut Outbox) {
        let kind = body.kind();
        let text = self.text(body, correlation_id);
        self.hive.live.metrics.sent_messages.with_label_values(&[kind]).inc();
        self.hive.live.metrics.sent_bytes.inc_by(wide_size(text.len()));
        out.push(Out::Text(text));
    }

    /// Sends what was written for many.
    fn send(&self, text: ByteString, out: &mut Outbox) {
        self.count_sent(&text);
        out.push(Out::Text(text));
    }

    fn count_sent(&self, text: &ByteString) {
        self.hive.live.metrics.sent_messages.with_label_values(&["shared"]).inc();
        self.hive.live.metrics.sent_bytes.inc_by(wide_size(text.len()));
    }

    fn text(&self, body: Body, correlation_id: Option<String>) -> ByteString {
        let own = || self.principal.caller.correlation_id.to_string();
        let correlation_id = correlation_id.unwrap_or_else(own);
        Frame { body, timestamp: self.hive.clock.now(), correlation_id }.text().into()
    }

    /// The subscriptions have changed.
    pub(crate) fn subscribed(&self) {
        Roster::here().subscribe(self.key, self.subscriptions.topics());
        self.hive.live.book.subscribe(&self.greeting.id, self.subscriptions.texts());
        let live = &self.hive.live;
        live.metrics.count_subscriptions(&live.book);
        tracing::debug!(
            session.id = &*self.greeting.id,
            correlation_id = &*self.principal.caller.correlation_id,
            subscriptions = %self.subscriptions.texts().join(","),
            "session subscribed"
        );
    }
}

impl Party for Session {
    type News = News;

    fn seat(&self) -> &Rc<Seat> {
        &self.seat
    }

    fn valve(&self) -> Rc<Valve> {
        // What a watcher may say is limited by its rate.
        Rc::default()
    }

    fn message_bytes_hard_max(&self) -> usize {
        MESSAGE_BYTES_HARD_MAX
    }

    fn open(&mut self, out: &mut Outbox) {
        Self::open(self, out);
    }

    fn wake(&mut self, out: &mut Outbox) {
        Self::wake(self, out);
    }

    fn heard(&mut self, heard: Heard, out: &mut Outbox) {
        Self::heard(self, heard, out);
    }

    fn hear(&mut self, news: News, out: &mut Outbox) {
        Self::hear(self, news, out);
    }

    fn end(&mut self, ending: Ending, out: &mut Outbox) {
        Self::end(self, ending, out);
    }

    fn ending(&self) -> Option<Ending> {
        self.ending
    }

    fn ended(&self, reason: &'static str, is_stalled: bool) {
        let (id, caller) = (&*self.greeting.id, &self.principal.caller);
        tell_end(&self.hive, (id, self.greeting.endpoint), &caller.correlation_id, (reason, is_stalled));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        Roster::here().leave(self.key);
    }
}

/// The share of one poll.
#[derive(Default)]
struct Taken {
    bytes: usize,
    count: usize,
    /// When the last of it was committed.
    newest_at: Option<Timestamp>,
}

impl Taken {
    /// Takes an event where it is wanted. False: that is enough for this poll.
    fn take(&mut self, entry: &Entry, is_wanted: bool, out: &mut Outbox) -> bool {
        if is_wanted && !entry.encoded.frame.is_empty() {
            self.bytes = self.bytes.saturating_add(entry.encoded.frame.len());
            self.count = self.count.saturating_add(1);
            self.newest_at = Some(entry.at);
            out.push(Out::Text(entry.encoded.frame.clone()));
        }
        self.bytes < WAKE_BYTES
    }
}

fn wide(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn wide_size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
