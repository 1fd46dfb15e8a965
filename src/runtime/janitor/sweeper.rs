//! The janitor that sweeps tasks: stages what is due, reaps leases, expires what waited too long, retires what is old.

use std::time::Duration;

use domain::Timestamp;
use store::command::{Chore, Sweep};
use store::outcome::Swept;
use supervision::{ActorRef, Behaviour, Context, Handle, Reply};

use super::{Tick, apply};
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::shared::{Phase, SharedRef, chance};

/// Rows of one round: small enough that a round is a small part of a batch.
const ROWS: u32 = 500;

/// How long it leaves alone what was due and did not move: a row that cannot be understood stays so until somebody mends it.
const STUCK_AGAIN_MS: u64 = 1_000;

/// What one sweeper does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// `scheduled` to `queued`, when it is time.
    Stage,
    /// Ends attempts whose lease has expired.
    Reap,
    /// Ends waiting that has lasted too long.
    Expire,
    /// Removes old terminal tasks.
    RetireTasks,
    /// Removes old events.
    RetireEvents,
    /// Removes old keys.
    RetireKeys,
}

impl Duty {
    /// Every duty.
    pub const ALL: [Self; 6] =
        [Self::Stage, Self::Reap, Self::Expire, Self::RetireTasks, Self::RetireEvents, Self::RetireKeys];

    /// The janitor's name in the tree and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stage => "stager",
            Self::Reap => "reaper",
            Self::Expire => "expirer",
            Self::RetireTasks => "task_retention",
            Self::RetireEvents => "event_retention",
            Self::RetireKeys => "key_retention",
        }
    }

    /// How often it looks. Looking costs no statement while there is nothing to do.
    const fn interval(self) -> Duration {
        match self {
            Self::Stage => Duration::from_millis(50),
            Self::Reap | Self::Expire => Duration::from_millis(200),
            Self::RetireTasks | Self::RetireEvents | Self::RetireKeys => Duration::from_secs(60),
        }
    }

    fn chore(self, now: Timestamp, retention_ms: u64) -> Chore {
        match self {
            Self::Stage => Chore::StageDue,
            Self::Reap => Chore::ReapLeases,
            Self::Expire => Chore::ExpireWaiting,
            Self::RetireTasks => Chore::RetireTasks(now.minus_ms(retention_ms)),
            Self::RetireEvents => Chore::RetireEvents(now.minus_ms(retention_ms)),
            Self::RetireKeys => Chore::RetireKeys,
        }
    }
}

/// See the module.
pub struct Sweeper {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    duty: Duty,
    is_sweeping: bool,
    /// The last event that could bring work forward, as of the last round; -1 before the first.
    mark: i64,
    /// When the next row is due, as the last round said.
    next_at: Option<Timestamp>,
}

impl Sweeper {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(shared: SharedRef, coordinator: ActorRef<Coordinator>, duty: Duty) -> Self {
        Self { shared, coordinator, duty, is_sweeping: false, mark: -1, next_at: None }
    }

    /// The last event after which a look is worth while, and whether anything is there at all.
    fn situation(&self) -> (i64, bool) {
        self.shared.feed.read(|projection| {
            let (marks, totals) = (projection.marks(), projection.totals());
            match self.duty {
                Duty::Stage => (marks.scheduled, totals.scheduled > 0),
                Duty::Reap => (marks.leased, totals.working > 0),
                Duty::Expire => (marks.waiting, totals.waiting() > 0),
                Duty::RetireTasks | Duty::RetireEvents | Duty::RetireKeys => (0, true),
            }
        })
    }

    fn is_due(&self, mark: i64, is_anything_there: bool) -> bool {
        let is_regular = matches!(self.duty, Duty::RetireTasks | Duty::RetireEvents | Duty::RetireKeys);
        let has_come = self.next_at.is_some_and(|next_at| next_at <= self.shared.clock.now());
        is_anything_there && (is_regular || mark != self.mark || has_come)
    }

    fn sweep(&mut self, mark: i64, cx: &mut Context<Self>) {
        self.is_sweeping = true;
        let began = self.shared.clock.now();
        let chore = self.duty.chore(began, self.shared.settings.retention_ms);
        let round = Sweep { chore, limit: ROWS, chance: chance() };
        cx.spawn(apply(self.coordinator.clone(), round), move |sweeper, swept, cx| {
            sweeper.swept(mark, (chore, began), swept, cx);
        });
    }

    fn swept(
        &mut self,
        mark: i64,
        (chore, began): (Chore, Timestamp),
        swept: Result<Swept, Error>,
        cx: &mut Context<Self>,
    ) {
        self.is_sweeping = false;
        // After an error nothing is remembered, so that the next tick looks again.
        let Ok(swept) = swept else { return };
        self.mark = mark;
        self.next_at = next_look(&swept, began);
        let rows = self.shared.metrics.swept.with_label_values(&[self.duty.name()]);
        rows.inc_by(u64::from(swept.count));
        if is_more(chore, &swept) {
            self.sweep(mark, cx);
        }
    }
}

/// When there will be something to do, after a round that began at a time.
fn next_look(swept: &Swept, began: Timestamp) -> Option<Timestamp> {
    let is_stuck = swept.count == 0 && swept.next_at.is_some_and(|next_at| next_at <= began);
    if is_stuck { Some(began.plus_ms(STUCK_AGAIN_MS)) } else { swept.next_at }
}

/// Whether a round left something to do at once: it was full, or it stopped early because tasks had much output.
fn is_more(chore: Chore, swept: &Swept) -> bool {
    let stopped_early = match chore {
        Chore::RetireTasks(before) => swept.next_at.is_some_and(|next_at| next_at < before),
        Chore::StageDue
        | Chore::ReapLeases
        | Chore::EndCrashed
        | Chore::ExpireWaiting
        | Chore::RetireEvents(_)
        | Chore::RetireKeys => false,
    };
    swept.count >= ROWS || (swept.count > 0 && stopped_early)
}

impl Behaviour for Sweeper {
    const KIND: &'static str = "janitor";
    /// Its own ticks come past the mailbox; nobody else writes to it.
    const MAILBOX_CAPACITY: usize = 1;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(Tick, self.duty.interval());
    }
}

impl Handle<Tick> for Sweeper {
    fn handle(&mut self, tick: Tick, cx: &mut Context<Self>) -> Reply<()> {
        cx.notify_later(tick, self.duty.interval());
        if !self.is_sweeping && self.shared.phase() == Phase::Serving {
            let (mark, is_anything_there) = self.situation();
            if self.is_due(mark, is_anything_there) {
                self.sweep(mark, cx);
            }
        }
        Reply::Now(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_and_did_not_move_is_left_alone_for_a_second() {
        let at = Timestamp::from_micros;
        let look = |count, next_at| next_look(&Swept { count, next_at: Some(at(next_at)) }, at(10));
        assert_eq!(look(0, 10), Some(at(1_000_010)), "it was due when the round began, and is still there");
        assert_eq!(look(0, 11), Some(at(11)), "it became due meanwhile");
        assert_eq!(look(1, 10), Some(at(10)), "others moved: one more round finds out");
    }

    #[test]
    fn a_round_that_was_full_or_stopped_early_is_followed_by_another() {
        let (cutoff, older) = (Timestamp::from_micros(10), Some(Timestamp::from_micros(9)));
        let retire = Chore::RetireTasks(cutoff);
        let more = |chore, count, next_at| is_more(chore, &Swept { count, next_at });
        assert!(more(Chore::StageDue, ROWS, None));
        assert!(!more(Chore::StageDue, ROWS - 1, older));
        assert!(more(retire, 1, older), "an older one is left");
        assert!(!more(retire, 1, Some(cutoff)), "the next one is not old enough");
        assert!(!more(retire, 0, older), "nothing went, so nothing would go at once");
    }
}
