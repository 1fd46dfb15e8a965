//! The janitor that stores what this node did, minute by minute, and forgets what is too old to be shown.

use std::time::Duration;

use domain::Timestamp;
use store::command::SavePerformance;
use supervision::{ActorRef, Behaviour, Context, Handle, Reply};

use super::{Tick, apply};
use crate::coordinator::Coordinator;
use crate::performance::{HOUR_S, MINUTE_S};
use crate::shared::{Phase, Shared, SharedRef};

/// How often it looks whether a minute is over; in memory.
const INTERVAL: Duration = Duration::from_secs(1);
/// Minutes are kept a little longer than the longest range that shows them, 24 hours.
const MINUTES_KEPT_MS: u64 = 25 * 3_600_000;
/// Hours are kept a little longer than the longest range, 30 days.
const HOURS_KEPT_MS: u64 = 31 * 86_400_000;

/// See the module.
pub struct PerformanceSaver {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    is_saving: bool,
}

impl PerformanceSaver {
    /// One that has stored nothing yet.
    #[must_use]
    pub fn new(shared: SharedRef, coordinator: ActorRef<Coordinator>) -> Self {
        Self { shared, coordinator, is_saving: false }
    }

    fn save(&mut self, cx: &mut Context<Self>) {
        let Some(save) = due(&self.shared, false) else { return };
        let rows = save.rows.clone();
        self.is_saving = true;
        cx.spawn(apply(self.coordinator.clone(), save), move |saver, saved, _| {
            saver.is_saving = false;
            match saved {
                Ok(()) => saver.shared.performance.saved(&rows),
                Err(_) => saver.shared.performance.not_saved(),
            }
        });
    }
}

/// What is to be stored now, if anything is; with `everything`, also the minute that is being counted.
pub(crate) fn due(shared: &Shared, everything: bool) -> Option<SavePerformance> {
    let now = shared.clock.now();
    let rows = shared.performance.due(now, shared.node, everything);
    let keeps = |span_s: u32, kept_ms: u64| -> (u32, Timestamp) { (span_s, now.minus_ms(kept_ms)) };
    let forget = vec![keeps(MINUTE_S, MINUTES_KEPT_MS), keeps(HOUR_S, HOURS_KEPT_MS)];
    (!rows.is_empty()).then_some(SavePerformance { rows, forget })
}

impl Behaviour for PerformanceSaver {
    const KIND: &'static str = "janitor";
    /// Its own ticks come past the mailbox; nobody else writes to it.
    const MAILBOX_CAPACITY: usize = 1;

    fn started(&mut self, cx: &mut Context<Self>) {
        // One before it may have ended between what was due and its answer.
        self.shared.performance.not_saved();
        cx.notify_later(Tick, INTERVAL);
    }
}

impl Handle<Tick> for PerformanceSaver {
    fn handle(&mut self, tick: Tick, cx: &mut Context<Self>) -> Reply<()> {
        cx.notify_later(tick, INTERVAL);
        if !self.is_saving && self.shared.phase() == Phase::Serving {
            self.save(cx);
        }
        Reply::Now(())
    }
}
