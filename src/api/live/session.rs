//! One session: a cursor on the log, the subscriptions that say what of it is sent, and the answers to its client.
//!
//! Started by [`super::connect`], owned by the socket, temporary under the session supervisor. It decides; what is to
//! be done goes into the [`Outbox`].
//!
//! Invariant: an event is sent once to the topics that a session has: what is taken up at a place leaves out what another
//! topic has brought.

use std::collections::VecDeque;
use std::rc::Rc;

use bytestring::ByteString;
use feed::{Cursor, HistoryError};
use protocol::live::CONTRACT_VERSION;
use protocol::live::frame::{Body, ConnectionFacts, Frame};
use protocol::live::limits::{Ending, MESSAGE_BYTES_HARD_MAX};
use protocol::live::topic::{Root, Topic};

use super::admission::tell_end;
use super::bucket::Bucket;
use super::greeting::Greeting;
use super::guard::Valve;
use super::measure::{self, Updates};
use super::outbox::{Heard, News, Out, Outbox, Party};
use super::replay::{Reach, Replay, Wish, reach};
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
    pub(super) cursor: Cursor,
    /// Topics that are taken up at a place now, and those that are next.
    pub(super) replay: Option<Replay>,
    pub(super) wishes: VecDeque<Wish>,
    pub(super) update: Option<Rc<Updates>>,
    /// An errand is under way without which the stream cannot go on.
    pub(super) is_held: bool,
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
            wishes: VecDeque::new(),
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
        let added = self.subscriptions.add(&written, &self.watcher, max, self.cursor.place());
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

    /// Who begins to hear alerts is told what is raised; changes from then on are its own.
    pub(crate) fn tell_alerts(&self, added: &[Topic], out: &mut Outbox) {
        if added.iter().any(|topic| topic.root() == Root::Alerts) {
            let (change, raised) = self.hive.live.lookout.raised();
            self.seat.alerts_told.set(change);
            if let Some(raised) = raised {
                self.say(raised, None, out);
            }
        }
    }

    /// Tells what became of alerts since it was last told.
    fn tell_changed_alerts(&self, out: &mut Outbox) {
        if self.subscriptions.topics().iter().any(|topic| topic.root() == Root::Alerts) {
            let (change, texts) =
                self.hive.live.lookout.changes_after(self.seat.alerts_told.get(), self.hive.clock.now());
            self.seat.alerts_told.set(change);
            texts.into_iter().for_each(|text| self.send(text, out));
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
            self.skip("slow_consumer", out);
        }
        if orders.ping {
            out.push(Out::Ping);
        }
        if orders.alerts {
            self.tell_changed_alerts(out);
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
                    // It goes on with the next poll.
                    Ok(entries) if !entries.is_empty() => return self.replayed(&entries, out),
                    Ok(_) => {}
                    Err(HistoryError::Gone { .. }) => self.skip("history_gone", out),
                    Err(HistoryError::Read(error)) => {
                        tracing::warn!(session.id = &*self.greeting.id, %error, "history cannot be read");
                        self.skip("history_unreadable", out);
                    }
                }
            }
        }
        self.pump(out);
    }

    fn resume(&mut self, reach: Reach, out: &mut Outbox) {
        self.is_held = false;
        let Reach { is_whole, from, head, wish } = reach;
        let result = if is_whole { "recovered" } else { "not_recovered" };
        self.hive.live.metrics.resumes.with_label_values(&[result]).inc();
        tracing::debug!(
            session.id = &*self.greeting.id,
            correlation_id = &*self.principal.caller.correlation_id,
            result,
            from,
            to = head,
            "session resumes"
        );
        let (correlation_id, joined) = match wish {
            Some(wish) => (wish.correlation_id, Some(wish.joined)),
            None => (None, None),
        };
        self.say(Body::Resumed { recovered: is_whole, from, to: head }, correlation_id, out);
        match (is_whole, joined) {
            (false, None) => self.show_state(out),
            (false, Some(_)) => self.skip(result, out),
            (true, None) => {
                self.cursor.jump(from);
                self.subscriptions.begin_at(from, None);
            }
            (true, Some(mut joined)) => {
                joined.keep(&self.subscriptions);
                // Up to where the last of them began; what came since they have.
                let until = self.subscriptions.begins(&joined).filter(|until| from < *until);
                self.replay = until.map(|until| {
                    let cursor = self.hive.feed.log().follow(from);
                    Replay { cursor, joined, from, until }
                });
            }
        }
    }

    /// Topics are taken up at a place.
    pub(super) fn take_up(&mut self, wish: Wish, out: &mut Outbox) {
        self.is_held = true;
        let (hive, place) = (self.hive.clone(), wish.place.clone());
        out.errand(async move { News::Reach(reach(hive, place, Some(wish)).await) });
    }

    /// Of topics that are not heard any more, what they missed is not told any more either.
    pub(super) fn forget(&mut self) {
        if let Some(replay) = &mut self.replay {
            replay.joined.keep(&self.subscriptions);
        }
    }

    /// The state as it is, and the cursor right behind it.
    fn show_state(&mut self, out: &mut Outbox) {
        let (snapshot, offset) = measure::snapshot(&self.hive, &self.subscriptions);
        self.replay = None;
        self.cursor.jump(offset);
        self.subscriptions.begin_at(offset, None);
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
    fn skip(&mut self, reason: &'static str, out: &mut Outbox) {
        let place = self.replay.as_ref().map_or(self.cursor.place(), |replay| replay.cursor.place());
        let at = out.out.len();
        self.show_state(out);
        let (from, to) = (place.saturating_add(1), self.cursor.place());
        if to < from {
            return;
        }
        self.hive.live.metrics.drops.with_label_values(&[reason]).inc_by(wide(to - from + 1));
        tracing::info!(
            session.id = &*self.greeting.id,
            correlation_id = &*self.principal.caller.correlation_id,
            reason,
            from,
            to,
            "events skipped"
        );
        let skipped = self.text(Body::EventsSkipped { from, to }, None);
        self.count_sent(&skipped);
        out.out.insert(at, Out::Text(skipped));
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
    pub(super) fn send(&self, text: ByteString, out: &mut Outbox) {
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

fn wide(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

pub(super) fn wide_size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
