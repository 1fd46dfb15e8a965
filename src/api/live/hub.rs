//! The hub of a web thread: wakes the sessions of that thread when the log has something for them, and once a second looks
//! after them.
//!
//! Started by [`start`] with its thread, permanent under the session supervisor. It holds nothing that its next incarnation
//! would miss: the seats are the thread's.
//!
//! Invariant: between two wake-ups lies a pause that grows with what the last one cost, up to 30 ms: one session hears at
//! once, a thousand hear in groups, and no burst makes a write of each event.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use feed::{Cursor, Look};
use protocol::live::limits::Ending;
use protocol::live::topic::Root;
use runtime::Phase;
use supervision::{Behaviour, ChildSpec, Context, Handle, Home, Reply};

use super::measure;
use super::roster::{Concerned, Roster};
use crate::correlation;
use crate::state::{Hive, Shared};

/// The longest pause between two wake-ups.
const PAUSE_MAX: Duration = Duration::from_millis(30);
/// What the wake-up of one session costs, with its write: measured at 15 to 25 µs; three times that leaves room for others.
const PAUSE_A_SESSION: Duration = Duration::from_micros(60);
/// How often it looks whether the hive drains.
const LOOK: Duration = Duration::from_millis(100);
/// Looks of a second.
const LOOKS_A_SECOND: u32 = 10;
/// Seconds after which totals are sent that have not changed.
const UPDATE_SECONDS: u64 = 30;
/// The topics that have totals.
const MEASURED: [Root; 4] = [Root::Agents, Root::Coordination, Root::Tasks, Root::System];

/// Time to look after the sessions.
pub(crate) struct LookDue;

impl actix::Message for LookDue {
    type Result = ();
}

/// An operator says something to everybody who is subscribed to a topic. Answers how many sessions it was handed to.
pub(crate) struct Say {
    pub(crate) root: Root,
    pub(crate) text: ByteString,
}

impl actix::Message for Say {
    type Result = usize;
}

/// Close a connection. Answers whether it is one of this hub.
pub(crate) struct CloseSession {
    pub(crate) id: Arc<str>,
    pub(crate) ending: Ending,
}

impl actix::Message for CloseSession {
    type Result = bool;
}

/// How the sessions of a hub are.
pub(crate) struct Count;

impl actix::Message for Count {
    /// All, and those that did not hear the last bell.
    type Result = (usize, usize);
}

/// See the module.
pub(crate) struct Hub {
    hive: Weak<Shared>,
    cursor: Option<Cursor>,
    looks: u32,
    /// When totals were last sent, and at which offset.
    updated_at: Instant,
    updated_offset: i64,
    /// The last change of alerts that sessions were asked to look at.
    alerts: u64,
    correlation_id: Arc<str>,
}

/// Starts the hub of this thread.
pub(crate) fn start(hive: &Hive) {
    let number = hive.live.next_hub();
    let Some(home) = Home::current(&format!("web-{number}")) else { return };
    let shared = Arc::downgrade(&hive.clone().into_inner());
    let spec = ChildSpec::new(format!("hub-{number}"), move || Hub::new(shared.clone())).on(&home);
    match hive.live.supervisor.start_child(spec) {
        Ok(hub) => hive.live.add_hub(hub),
        // The tree is stopping: there will be no sessions.
        Err(error) => tracing::debug!(%error, "a hub was not started"),
    }
}

impl Hub {
    fn new(hive: Weak<Shared>) -> Self {
        Self {
            hive,
            cursor: None,
            looks: 0,
            updated_at: Instant::now(),
            updated_offset: -1,
            alerts: 0,
            correlation_id: correlation::made(),
        }
    }

    /// Waits for the log to grow, after a pause.
    fn wait(&self, pause: Duration, cx: &mut Context<Self>) {
        let Some(hive) = self.hive.upgrade() else { return };
        let mut growth = hive.feed.log().growth();
        let seen = self.cursor.as_ref().map_or(0, Cursor::place);
        let grown = async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            // The sender lives as long as the log.
            let _ = growth.wait_for(|head| *head > seen).await;
        };
        cx.spawn(grown, |hub, (), cx| hub.wake(cx));
    }

    /// Rings whom the new entries concern.
    fn wake(&mut self, cx: &mut Context<Self>) {
        let Some(hive) = self.hive.upgrade() else { return };
        let roster = Roster::here();
        let log = hive.feed.log();
        if roster.count() == 0 {
            // Nobody follows: then the log need not be kept for this thread.
            self.cursor = None;
            return Self::wait_for_sessions(cx);
        }
        let head = log.head();
        // What the first session may have missed before this looked is for everybody.
        let mut concerned = if self.cursor.is_none() { Concerned::everybody() } else { Concerned::default() };
        let cursor = self.cursor.get_or_insert_with(|| log.follow(head));
        let look = cursor.look(head, |entry| {
            roster.concern(entry, &mut concerned);
            true
        });
        if look == Look::Older {
            concerned = Concerned::everybody();
        }
        cursor.jump(head);
        let (count, lagging) = roster.ring(&concerned, Instant::now());
        hive.live.metrics.fan_out.observe(lossy(count));
        for id in lagging {
            hive.live.metrics.backpressure.inc();
            tracing::info!(session.id = &*id, reason = "slow_consumer", "session does not take its wake-ups");
        }
        self.wait(pause_after(count), cx);
    }

    fn wait_for_sessions(cx: &mut Context<Self>) {
        let roster = Roster::here();
        cx.spawn(async move { roster.joined().await }, |hub, (), cx| hub.wake(cx));
    }

    fn look_after(&mut self, hive: &Arc<Shared>) {
        let now = Instant::now();
        let settings = &hive.live.settings;
        for seat in Roster::here().seats() {
            let silent = now.saturating_duration_since(seat.heard_at.get());
            if !seat.principal.still_opens(hive) {
                seat.order(|orders| orders.close = Some(Ending::Credentials));
            } else if silent >= settings.idle_timeout {
                seat.order(|orders| orders.close = Some(Ending::Idle));
            } else if now.saturating_duration_since(seat.pinged_at.get()) >= settings.ping_every {
                seat.pinged_at.set(now);
                seat.order(|orders| orders.ping = true);
            }
        }
    }

    /// Asks who hears alerts to look at them, where they have changed.
    fn tell_alerts(&mut self, hive: &Arc<Shared>) {
        let change = hive.live.lookout.change();
        if change != self.alerts {
            self.alerts = change;
            Roster::here().of(Root::Alerts).iter().for_each(|seat| seat.order(|orders| orders.alerts = true));
        }
    }

    /// Sends totals, where they have changed or were not sent for long.
    fn update(&mut self, hive: &Arc<Shared>) {
        let seq = hive.feed.seq();
        let is_due = self.updated_at.elapsed() >= Duration::from_secs(UPDATE_SECONDS);
        if seq == self.updated_offset && !is_due {
            return;
        }
        let watched = hive.live.book.subscribed().into_iter().filter(|(_, count)| *count > 0);
        let roots: Vec<Root> = watched.map(|(root, _)| root).filter(|root| MEASURED.contains(root)).collect();
        let Some(updates) = measure::updates(hive, &roots, &self.correlation_id) else { return };
        (self.updated_at, self.updated_offset) = (Instant::now(), seq);
        for seat in Roster::here().watching() {
            seat.order(|orders| orders.updates = Some(std::rc::Rc::clone(&updates)));
        }
    }
}

/// How long the next wake-up waits after one of so many sessions.
fn pause_after(count: usize) -> Duration {
    PAUSE_A_SESSION.saturating_mul(u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)).min(PAUSE_MAX)
}

#[expect(clippy::as_conversions, reason = "there is no lossless conversion; sessions stay far below 2^53")]
const fn lossy(count: usize) -> f64 {
    count as f64
}

impl Behaviour for Hub {
    const KIND: &'static str = "hub";
    /// Words of operators, seldom more than one at a time.
    const MAILBOX_CAPACITY: usize = 256;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(LookDue, LOOK);
        self.wake(cx);
    }

    /// What it waits for may never come.
    fn draining(&mut self, cx: &mut Context<Self>) {
        cx.stop();
    }
}

impl Handle<LookDue> for Hub {
    fn handle(&mut self, _: LookDue, cx: &mut Context<Self>) -> Reply<()> {
        cx.notify_later(LookDue, LOOK);
        let Some(hive) = self.hive.upgrade() else { return Reply::Now(()) };
        self.looks = self.looks.wrapping_add(1);
        if hive.runtime.phase() == Phase::Draining {
            for seat in Roster::here().seats() {
                seat.order(|orders| orders.close = Some(Ending::Shutdown));
            }
        } else if self.looks.is_multiple_of(LOOKS_A_SECOND) {
            self.look_after(&hive);
            self.update(&hive);
            // Only the hub of one thread looks out, each second another one may.
            let hive = Arc::clone(&hive);
            cx.spawn(async move { super::lookout::look(&hive).await }, |_, (), _| {});
        }
        self.tell_alerts(&hive);
        Reply::Now(())
    }
}

impl Handle<Say> for Hub {
    fn handle(&mut self, said: Say, _: &mut Context<Self>) -> Reply<usize> {
        let seats = Roster::here().of(said.root);
        let took = seats.iter().filter(|seat| seat.say(&said.text)).count();
        if let Some(hive) = self.hive.upgrade() {
            let dropped = u64::try_from(seats.len().saturating_sub(took)).unwrap_or(u64::MAX);
            hive.live.metrics.drops.with_label_values(&["said_full"]).inc_by(dropped);
        }
        Reply::Now(took)
    }
}

impl Handle<CloseSession> for Hub {
    fn handle(&mut self, close: CloseSession, _: &mut Context<Self>) -> Reply<bool> {
        let seat = Roster::here().find(&close.id);
        if let Some(seat) = &seat {
            seat.order(|orders| orders.close = Some(close.ending));
        }
        Reply::Now(seat.is_some())
    }
}

impl Handle<Count> for Hub {
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> Reply<(usize, usize)> {
        let seats = Roster::here().seats();
        Reply::Now((seats.len(), seats.iter().filter(|seat| seat.is_blocked()).count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_hears_at_once_and_many_in_groups() {
        assert_eq!(pause_after(0), Duration::ZERO);
        assert_eq!(pause_after(1), Duration::ZERO);
        assert_eq!(pause_after(101), Duration::from_millis(6));
        assert_eq!(pause_after(5_000), PAUSE_MAX);
    }
}
